// Lets the script run again when the stream says something else than what the page was drawn with.

const CALM_MS = 120
const FIRST_PAUSE_MS = 1000 // before the script is told again of what it did not take up
const LONGEST_PAUSE_MS = 60_000

const scriptRuns = () => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "running"

export class Events {
  constructor() {
    this.pause = FIRST_PAUSE_MS
    this.next = 0
  }

  /** What the page was drawn with, what the stream says now, and how the script is told. */
  compare(drawn, now, tell) {
    Object.assign(this, { drawn, now, tell })
    if (!this.outdated) {
      this.pause = FIRST_PAUSE_MS
      this.next = 0
    } else {
      this.telling ??= setTimeout(() => this.tellSoon(), CALM_MS)
    }
  }

  get outdated() {
    return !this.ended && this.now !== undefined && this.now !== this.drawn
  }

  /** Tell the script; ever more seldom if that does not help. */
  tellSoon() {
    this.telling = undefined
    if (!this.outdated) return
    // A button's own run often brings the page up to date. And what that run does to the page's address must be here
    // before the next begins, or the next would read the old one.
    const wait = scriptRuns() ? CALM_MS : this.next - performance.now()
    if (wait <= 0) {
      this.tell(this.now)
      this.next = performance.now() + this.pause
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS)
    }
    this.telling = setTimeout(() => this.tellSoon(), Math.max(wait, CALM_MS))
  }

  end() {
    this.ended = true
    clearTimeout(this.telling)
  }
}
