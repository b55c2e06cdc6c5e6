// The page's beginning: which model, which cases, and then one of them or the start.
import { api, type CaseEntry, type Voxel } from './api'
import { alertError } from './alerts'
import { buildDisplay } from './display'
import { byId, make } from './dom'
import { buildHelp, toggleHelp } from './help'
import { listenToKeys } from './keys'
import type { Layout } from './layout'
import { look } from './look'
import { Reader } from './reader'
import { keyActions } from './shortcuts'
import { settings } from './settings'
import { listenToUpload, showStart } from './start'

let cases: CaseEntry[] = []
let reader: Reader | null = null

/** What the address names after #: case=ID, and perhaps voxel=X,Y,Z of it. */
function inAddress(): { id: string | null; voxel: Voxel | null } {
  const named = new URLSearchParams(window.location.hash.slice(1))
  const [x, y, z] = (named.get('voxel') ?? '').split(',').map((part) => Number.parseInt(part, 10))
  const voxel = x !== undefined && y !== undefined && z !== undefined && x + y + z >= 0 ? { x, y, z } : null
  return { id: named.get('case'), voxel }
}

function open(id: string): void {
  const address = `#case=${encodeURIComponent(id)}`
  if (window.location.hash === address) void show()
  else window.location.hash = address
}

/** Shows what the address names: a case, or the start; a case alone needs no choosing. */
async function show(): Promise<void> {
  try {
    cases = await api.cases()
    const named = inAddress()
    const id = named.id ?? (cases.length === 1 ? cases[0]?.id : undefined)
    const entry = cases.find((known) => known.id === id)
    if (!entry) {
      if (id !== undefined) throw new Error(`The server has no case "${id}".`)
      showStart(cases, open)
      return
    }
    byId('start').hidden = true
    byId('reader').hidden = false
    listCases(entry)
    if (!reader) {
      reader = new Reader()
      Object.assign(window, { lesionclick: reader }) // for scripts and tests
      listenToKeys(keyActions(reader))
    }
    await reader.open(entry, named.voxel)
  } catch (error) {
    alertError(error)
    if (!reader || byId('reader').hidden) showStart(cases, open)
  }
}

function listCases(current: CaseEntry): void {
  const select = byId<HTMLSelectElement>('case-select')
  select.replaceChildren(
    ...cases.map((entry) => make('option', { value: entry.id, selected: entry.id === current.id }, entry.name)),
    make('option', { value: '' }, 'All cases, add one …'),
  )
}

function wire(): void {
  byId<HTMLSelectElement>('case-select').addEventListener('change', (event) => {
    const { value } = event.target as HTMLSelectElement
    ;(event.target as HTMLSelectElement).blur()
    if (value) open(value)
    else showStart(cases, open)
  })
  byId('undo').addEventListener('click', () => reader?.current?.undo())
  byId('redo').addEventListener('click', () => reader?.current?.redo())
  byId('clear').addEventListener('click', () => reader?.current?.clear())
  byId('tool-click').addEventListener('click', () => look.set({ looksOnly: false }))
  byId('tool-look').addEventListener('click', () => look.set({ looksOnly: true }))
  byId('rotate').addEventListener('click', () => settings.set({ rotating: !settings.get().rotating }))
  byId('help-open').addEventListener('click', toggleHelp)
  byId('mip').addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
    event.preventDefault()
    event.stopPropagation()
    reader?.turn(event.key === 'ArrowLeft' ? 1 : -1)
  })
  const downloads = byId<HTMLDetailsElement>('downloads')
  document.addEventListener('click', (event) => {
    if (!downloads.querySelector('summary')?.contains(event.target as Node)) downloads.open = false
  })
  const layouts: Record<Layout, string> = { all: 'All', axial: 'Axial', coronal: 'Coronal', sagittal: 'Sagittal', mip: 'MIP' }
  for (const [layout, name] of Object.entries(layouts) as [Layout, string][]) {
    const key = Object.keys(layouts).indexOf(layout) || 'Escape'
    const button = make('button', { title: `${name} (${key})` }, name)
    button.addEventListener('click', () => look.set({ layout }))
    look.watch((now) => button.setAttribute('aria-pressed', String(now.layout === layout)))
    byId('layouts').append(button)
  }
  look.watch(({ looksOnly }) => {
    byId('tool-click').setAttribute('aria-pressed', String(!looksOnly))
    byId('tool-look').setAttribute('aria-pressed', String(looksOnly))
    byId('overlay').classList.toggle('looks-only', looksOnly)
  })
  settings.watch(({ rotating }) => {
    const button = byId('rotate')
    button.textContent = rotating ? '❚❚' : '▶'
    button.setAttribute('aria-label', rotating ? 'Stop rotating' : 'Rotate')
  })
  buildDisplay()
  listenToUpload((id) => open(id))
  window.addEventListener('hashchange', () => void show())
}

async function begin(): Promise<void> {
  wire()
  try {
    const model = await api.model()
    buildHelp(model.version)
    const banner = byId('banner')
    banner.hidden = !model.warning
    banner.textContent = `The model in use: ${model.warning ?? ''}`
  } catch (error) {
    buildHelp('')
    alertError(error)
  }
  await show()
}

void begin()
