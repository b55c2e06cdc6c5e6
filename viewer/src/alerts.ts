// What went wrong, in words: for some seconds, or until the reader has put it away.
import { byId, capital, make } from './dom'

const SECONDS = 12

/** Shows a sentence; the same sentence is not shown twice at a time. */
export function alertReader(text: string): void {
  const alerts = byId('alerts')
  if ([...alerts.children].some((other) => other.firstChild?.textContent === text)) return
  const close = make('button', { 'aria-label': 'Close this message' }, '×')
  const alert = make('p', {}, make('span', {}, text), close)
  close.addEventListener('click', () => alert.remove())
  alerts.append(alert)
  window.setTimeout(() => alert.remove(), 1000 * SECONDS)
}

/** What an error says; for words of the server, as they stand. */
export function messageOf(error: unknown): string {
  return capital(error instanceof Error ? error.message : String(error))
}

/** Shows what an error says, behind what has come of it: "The click was not set: the server does not answer." */
export function alertError(error: unknown, consequence = ''): void {
  const text = messageOf(error)
  const following = text.replace(/^[A-Z](?=[a-z]* )/, (letter) => letter.toLowerCase())
  alertReader(consequence ? `${consequence}: ${following}` : text)
}
