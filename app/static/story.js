// A story, its words coloured by whether the network knows them, with the few words that it reads now. The content comes from
// the script, and then from the run's stream.

import { follow, unfollow } from "./stream.js"

/** An element with a class and a text. */
function made(tag, look, text) {
  const node = document.createElement(tag)
  node.className = look
  node.textContent = text
  return node
}

/** Words with spaces between them. */
const spaced = nodes => nodes.flatMap((node, i) => (i ? [" ", node] : [node]))

export class Story {
  constructor(root) {
    this.root = root
    this.parts = Object.fromEntries(["now", "said", "text", "legend"].map(name => [name, root.querySelector(`.${name}`)]))
    this.run = null
    this.hear = news => news.figures.includes(this.data.name) && this.request()
  }

  /** What the script wants: {name, run, content}. Called at each of its runs and at a change of theme. */
  update(data) {
    const before = this.run
    if (data.run !== (before?.id ?? null)) {
      this.run = data.run ? follow(data.run, this.hear) : null
      unfollow(before, this.hear)
    }
    this.data = data
    this.root.dataset.name = data.name
    this.draw()
  }

  request() {
    this.pending ||= requestAnimationFrame(() => this.draw())
  }

  draw() {
    cancelAnimationFrame(this.pending)
    this.pending = 0
    const content = this.run?.figures[this.data.name] ?? this.data.content
    const key = JSON.stringify(content.words)
    if (key !== this.key) this.write(content)
    this.key = key
    const n = content.reads.length
    content.words.forEach((_, i) => {
      const at = content.place >= 0 && i >= content.place && i <= content.place + n
      const role = at ? (i < content.place + n ? " read" : " next") : ""
      const look = `word look-${content.looks[i]}${role}`
      if (this.nodes[i].className !== look) this.nodes[i].className = look
      const tip = content.tips[i] ? `it says: ${content.tips[i]}` : ""
      if (this.nodes[i].title !== tip) this.nodes[i].title = tip
    })
    this.parts.said.textContent = content.said
    this.parts.now.replaceChildren(...this.told(content))
  }

  /** What it reads, what it says and what is right. */
  told({ reads, guess, target, right }) {
    if (!reads.length) return []
    const words = reads.map(word => made("span", "word read", word))
    const parts = ["It reads", ...words, "and says", made("span", "word guess", guess)]
    return spaced(right ? [...parts, "✓ right."] : [...parts, "✗ The true next word is", made("span", "word next", target)])
  }

  write({ words, legend }) {
    this.nodes = words.map(word => made("span", "word", word))
    this.parts.text.replaceChildren(...spaced(this.nodes))
    const signs = legend.map((name, look) => made("span", `word look-${look}`, name))
    signs.push(made("span", "word read", "what it reads"), made("span", "word next", "the true next word"))
    this.parts.legend.replaceChildren(...signs)
  }

  end() {
    this.ended = true
    cancelAnimationFrame(this.pending)
    unfollow(this.run, this.hear)
  }
}
