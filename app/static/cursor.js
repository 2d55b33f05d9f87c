// The step that all parts of a page look at: one store for each group of parts, so that they move together.
// This module is imported once per page, because every part imports it from the same address.

const cursors = new Map() // name of the group -> Cursor

class Cursor {
  #step = 0
  #listeners = new Set()

  get step() {
    return this.#step
  }

  /** Go to a step, a whole number from 0. Everybody who subscribed hears of it, unless it is there already. */
  set(step) {
    const next = Math.max(0, Math.floor(step) || 0)
    if (next === this.#step) return
    this.#step = next
    for (const listener of [...this.#listeners]) listener(next)
  }

  /** Call `listener(step)` at each change; returns the function that ends it. */
  subscribe(listener) {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** The cursor of a group: the same object for the same name. */
export function cursor(group) {
  if (!cursors.has(group)) cursors.set(group, new Cursor())
  return cursors.get(group)
}
