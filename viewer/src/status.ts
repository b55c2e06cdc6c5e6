// What is computed right now, in words, and what can be undone.
import type { SessionState } from './api'
import { byId } from './dom'

export function showStatus(state: SessionState, connected: boolean, shownMask: number): void {
  const { progress, mask } = state
  const status = byId('status')
  const lost = 'The server does not answer; trying again. Nothing is lost: clicks are kept there.'
  const told = progress.error ?? progress.text
  const text = connected ? told.charAt(0).toUpperCase() + told.slice(1) : lost
  if (status.textContent !== text) Object.assign(status, { textContent: text, title: text })
  status.dataset['stage'] = connected ? progress.stage : 'failed'
  // for scripts and tests: which mask the page speaks of
  Object.assign(status.dataset, { revision: state.revision, mask: mask.version, final: mask.final, shown: shownMask })
  const bar = byId<HTMLProgressElement>('progress')
  bar.hidden = !connected || !['opening', 'waiting', 'computing'].includes(progress.stage)
  if (progress.total > 0) Object.assign(bar, { max: progress.total, value: progress.done })
  else bar.removeAttribute('value')
  byId<HTMLButtonElement>('undo').disabled = !state.can_undo
  byId<HTMLButtonElement>('redo').disabled = !state.can_redo
  byId<HTMLButtonElement>('clear').disabled = !state.clicks.length
}
