// The keyboard: one table from keys to actions.

export type KeyActions = Record<string, (event: KeyboardEvent) => void>

/** A key's name with its modifiers, such as "Ctrl+Shift+z"; letters in lower case. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const letter = /^[a-z]$/.test(key) || event.key.length > 1
  return [event.ctrlKey || event.metaKey ? 'Ctrl+' : '', event.shiftKey && letter ? 'Shift+' : '', key].join('')
}

/** Runs actions at their keys, except while the reader types, chooses or moves a slider. */
export function listenToKeys(actions: KeyActions): void {
  window.addEventListener('keydown', (event) => {
    const target = event.target as HTMLElement
    const types = target instanceof HTMLInputElement && target.type !== 'checkbox'
    if (types || target instanceof HTMLSelectElement || event.altKey) return
    const name = nameOf(event)
    if (document.querySelector('dialog[open]') && name !== '?') return
    const action = actions[name]
    if (!action) return
    event.preventDefault()
    action(event)
  })
}
