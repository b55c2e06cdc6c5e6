// The menu of files to take home.
import { address, type SessionState } from './api'
import { byId } from './dom'

/** Files of a session; there are none without one, and those of the mask come with it. */
export function showDownloads(state: SessionState | null): void {
  const hasMask = (state?.mask.version ?? 0) > 0
  const isFinal = hasMask && state?.mask.final && state.mask.revision === state.revision
  for (const link of byId('downloads').querySelectorAll<HTMLAnchorElement>('a')) {
    const { file = '', of } = link.dataset
    if (state && (hasMask || of !== 'mask')) link.href = address(`sessions/${state.id}/${file}`)
    else link.removeAttribute('href')
  }
  const note = byId('downloads-note')
  note.hidden = isFinal === true
  note.textContent = hasMask ? 'The mask is not final yet.' : 'There is no mask yet.'
}

/** Closes the menu once something was chosen, or something else. */
export function listenToDownloads(): void {
  const menu = byId<HTMLDetailsElement>('downloads')
  const summary = menu.querySelector('summary')
  document.addEventListener('click', (event) => {
    if (!summary?.contains(event.target as Node)) menu.open = false
  })
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return
    event.stopPropagation()
    menu.open = false
    summary?.focus()
  })
}
