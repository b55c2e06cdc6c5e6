// Elements of the page: found or made, with their types.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the page has no element #${id}`)
  return element as T
}

/** A sentence with a capital at its beginning, unless it begins with a name such as that of a file. */
export function capital(text: string): string {
  return text.replace(/^[a-z]+(?= |$)/, (word) => word.charAt(0).toUpperCase() + word.slice(1))
}

type Child = Node | string

/** A new element with properties (and `aria-…`, `data-…` attributes) and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> & Record<`aria-${string}` | `data-${string}`, string> | object = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) element.setAttribute(name, String(value))
    else Object.assign(element, { [name]: value as unknown })
  }
  element.append(...children)
  return element
}
