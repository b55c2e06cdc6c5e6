// The buttons of the header and on the projection.
import { byId, make } from './dom'
import { listenToDownloads } from './downloads'
import { toggleHelp } from './help'
import type { Layout } from './layout'
import { look } from './look'
import type { Reader } from './reader'
import { settings } from './settings'

const LAYOUTS: [Layout, string, string][] = [
  ['all', 'All', 'Escape'],
  ['axial', 'Axial', '1'],
  ['coronal', 'Coronal', '2'],
  ['sagittal', 'Sagittal', '3'],
  ['mip', 'MIP', '4'],
]

export function buildToolbar(reader: Reader): void {
  byId('undo').addEventListener('click', () => reader.current?.undo())
  byId('redo').addEventListener('click', () => reader.current?.redo())
  byId('clear').addEventListener('click', () => reader.current?.clear())
  byId('tool-click').addEventListener('click', () => look.set({ looksOnly: false }))
  byId('tool-look').addEventListener('click', () => look.set({ looksOnly: true }))
  byId('rotate').addEventListener('click', () => settings.set({ rotating: !settings.get().rotating }))
  byId('help-open').addEventListener('click', toggleHelp)
  byId('mip').addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
    event.preventDefault()
    event.stopPropagation()
    reader.turn(event.key === 'ArrowLeft' ? 1 : -1)
  })
  for (const [layout, name, key] of LAYOUTS) {
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
  listenToDownloads()
}
