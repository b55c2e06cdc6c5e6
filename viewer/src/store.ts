// Values that parts of the page share, and who is told when they change.

export class Store<T extends object> {
  private readonly listeners = new Set<(value: T, before: T) => void>()

  constructor(private value: T) {}

  get(): Readonly<T> {
    return this.value
  }

  set(change: Partial<T>): void {
    const before = this.value
    const keys = Object.keys(change) as (keyof T)[]
    if (keys.every((key) => Object.is(before[key], change[key]))) return
    this.value = { ...before, ...change }
    for (const listener of this.listeners) listener(this.value, before)
  }

  /** Calls `listener` now and after each change. */
  watch(listener: (value: T, before: T) => void): void {
    this.listeners.add(listener)
    listener(this.value, this.value)
  }
}
