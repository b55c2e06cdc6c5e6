// The page's beginning: which model, which cases, and then one of them or the start.
import { api, type CaseEntry, type Model, type Voxel } from './api'
import { alertError } from './alerts'
import { buildDisplay } from './display'
import { byId, make } from './dom'
import { buildHelp } from './help'
import { listenToKeys } from './keys'
import { Reader } from './reader'
import { keyActions } from './shortcuts'
import { listenToUpload, showStart } from './start'
import { buildToolbar } from './toolbar'

const START = '#cases' // the address of the start, where a single case is not opened at once

let model: Model | null = null
let reader: Reader
let shown = 0 // counts addresses, so that an answer for one left meanwhile changes nothing

/** What the address names after #: case=ID, and perhaps voxel=X,Y,Z of it. */
function inAddress(): { id: string | null; voxel: Voxel | null } {
  const named = new URLSearchParams(window.location.hash.slice(1))
  const [x, y, z] = (named.get('voxel') ?? '').split(',').map((part) => Number.parseInt(part, 10))
  const voxel = x !== undefined && y !== undefined && z !== undefined && x + y + z >= 0 ? { x, y, z } : null
  return { id: named.get('case'), voxel }
}

const open = (id: string) => void (window.location.hash = `#case=${encodeURIComponent(id)}`)

/** Shows what the address names: a case, or the start; a case alone needs no choosing. */
async function show(): Promise<void> {
  const mine = ++shown
  let cases: CaseEntry[] = []
  let entry: CaseEntry | undefined
  const { id, voxel } = inAddress()
  try {
    cases = await api.cases()
    if (mine !== shown) return
    const only = cases.length === 1 && window.location.hash !== START ? cases[0] : undefined
    entry = id === null ? only : cases.find((known) => known.id === id)
    if (!entry && id !== null) throw new Error(`The server has no case "${id}".`)
  } catch (error) {
    if (mine !== shown) return
    alertError(error)
  }
  if (!entry) {
    reader.leave()
    showStart(cases, open)
    return
  }
  byId('start').hidden = true
  byId('reader').hidden = false
  listCases(cases, entry)
  await reader.open(entry, voxel)
}

function listCases(cases: CaseEntry[], current: CaseEntry): void {
  const select = byId<HTMLSelectElement>('case-select')
  select.replaceChildren(
    ...cases.map((entry) => make('option', { value: entry.id, selected: entry.id === current.id }, entry.name)),
    make('option', { value: '' }, 'All cases, add one …'),
  )
}

/** What the server says of its model stands above everything, as long as it has something to say. */
function warn({ name, warning }: Model): void {
  const banner = byId('banner')
  banner.hidden = !warning
  banner.textContent = `${name === 'bundled' ? 'The bundled model' : `The model “${name}”`}: ${warning ?? ''}`
}

async function begin(): Promise<void> {
  window.addEventListener('unhandledrejection', (event) => alertError(event.reason))
  reader = new Reader()
  Object.assign(window, { lesionclick: reader }) // for scripts and tests
  buildDisplay()
  buildToolbar(reader)
  listenToKeys(keyActions(reader), () => !byId('reader').hidden)
  listenToUpload(open, () => model?.max_upload_bytes ?? Infinity)
  byId<HTMLSelectElement>('case-select').addEventListener('change', (event) => {
    const select = event.target as HTMLSelectElement
    select.blur() // keys are the reader's again
    if (select.value) open(select.value)
    else window.location.hash = START
  })
  window.addEventListener('hashchange', () => void show())
  try {
    model = await api.model()
    warn(model)
  } catch (error) {
    alertError(error)
  }
  buildHelp(model?.version ?? '')
  await show()
}

void begin()
