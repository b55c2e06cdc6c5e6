// What went wrong, in words, until the reader has put it away.
import { byId, make } from './dom'

const LASTING = 12_000 // ms

/** Shows a sentence; the same sentence is not shown twice at a time. */
export function alertReader(text: string, lasting = true): void {
  const alerts = byId('alerts')
  if ([...alerts.children].some((other) => other.firstChild?.textContent === text)) return
  const close = make('button', { 'aria-label': 'Close' }, '×')
  const alert = make('p', {}, make('span', {}, text), close)
  close.addEventListener('click', () => alert.remove())
  alerts.append(alert)
  if (!lasting) window.setTimeout(() => alert.remove(), LASTING)
}

export function alertError(error: unknown): void {
  alertReader(error instanceof Error ? error.message : String(error), false)
}
