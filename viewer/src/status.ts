// What is computed right now, in words, and what can be undone.
import { byId, capital } from './dom'
import type { Known } from './session'

const LOST = 'The server does not answer; trying again. Nothing is lost: clicks are kept there.'

export function showStatus(known: Known | null): void {
  const { text, stage } = inWords(known)
  const status = byId('status')
  if (status.textContent !== text) Object.assign(status, { textContent: text, title: text })
  if (status.dataset['stage'] !== stage) {
    status.dataset['stage'] = stage
    byId('announcement').textContent = text // read out at each stage, and not with every pass
  }
  const state = known?.state
  // for scripts and tests: which mask the page speaks of
  const { revision = '', mask: { version = '', final = '' } = {} } = state ?? {}
  Object.assign(status.dataset, { revision, mask: version, final, shown: known?.maskVersion ?? '' })
  const bar = byId<HTMLProgressElement>('progress')
  const { done = 0, total = 0 } = state?.progress ?? {}
  bar.hidden = !['opening', 'waiting', 'computing'].includes(stage)
  if (total > 0) Object.assign(bar, { max: total, value: done })
  else bar.removeAttribute('value')
  byId('again').hidden = !known || stage !== 'failed'
  byId<HTMLButtonElement>('undo').disabled = !state?.can_undo
  byId<HTMLButtonElement>('redo').disabled = !state?.can_redo
  byId<HTMLButtonElement>('clear').disabled = !state?.clicks.length
}

function inWords(known: Known | null): { text: string; stage: string } {
  if (!known) return { text: '', stage: 'none' }
  if (known.gone) return { text: `${capital(known.gone)}.`.replace('..', '.'), stage: 'failed' }
  if (!known.connected) return { text: LOST, stage: 'lost' }
  const { progress } = known.state
  return { text: capital(progress.error ?? progress.text), stage: progress.stage }
}
