// The keyboard: one table from keys to actions.

export type KeyActions = Record<string, (event: KeyboardEvent) => void>

/** A key's name with its modifiers, such as "Ctrl+Shift+z"; letters in lower case. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const isLetter = /^[a-z]$/.test(key) || event.key.length > 1
  return [event.ctrlKey || event.metaKey ? 'Ctrl+' : '', event.shiftKey && isLetter ? 'Shift+' : '', key].join('')
}

const MOVES = /^(Arrow|Page|Home|End)/

/** Whether a key means something to the control that has the focus: text, choices, a slider's arrows. */
function isTaken(event: KeyboardEvent): boolean {
  const { target } = event
  if (target instanceof HTMLSelectElement) return true
  if (!(target instanceof HTMLInputElement) || target.type === 'checkbox') return false
  return target.type !== 'range' || MOVES.test(event.key)
}

/** Runs actions at their keys while `isActive`; one that is held down repeats what moves, and sets no second click. */
export function listenToKeys(actions: KeyActions, isActive: () => boolean): void {
  window.addEventListener('keydown', (event) => {
    if (event.altKey || !isActive() || isTaken(event)) return
    const name = nameOf(event)
    if (document.querySelector('dialog[open]') && name !== '?') return
    const action = actions[name]
    if (!action) return
    event.preventDefault()
    if (event.repeat && !/^(Shift\+)?(Arrow|Page|[nc]$)|^[-+=[\]]$/.test(name)) return
    action(event)
  })
}
