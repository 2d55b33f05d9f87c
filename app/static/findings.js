// What the numbers of a network say, in sentences. They come from the script, and then from the run's stream for a view.

import { follow, unfollow } from "./stream.js"

export class Findings {
  constructor(root) {
    this.root = root
    this.title = root.querySelector(".title")
    this.list = root.querySelector("ul")
    this.run = null
    this.hear = news => news.figures.includes(this.data.name) && this.draw()
  }

  /** What the script wants: {name, run, view, content}. Called at each of its runs and at a change of theme. */
  update(data) {
    const before = this.run
    if (data.run !== (before?.id ?? null) || data.view !== (before?.view ?? "")) {
      this.run = data.run ? follow(data.run, this.hear, data.view) : null
      this.run?.wantPicture(data.name)
      unfollow(before, this.hear)
    }
    this.data = data
    this.draw()
  }

  draw() {
    const { title, lines } = this.run?.figures[this.data.name] ?? this.data.content
    this.title.textContent = title
    this.list.replaceChildren(...lines.map(sentence))
  }

  end() {
    this.ended = true
    unfollow(this.run, this.hear)
  }
}

/** A line of texts, those in a list in bold. */
function sentence(parts) {
  const line = document.createElement("li")
  line.append(...parts.map(part => {
    if (typeof part === "string") return part
    const strong = document.createElement("b")
    strong.textContent = part[0]
    return strong
  }))
  return line
}
