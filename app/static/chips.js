// Words in a row: as chips, shaded by surprise, or as a text. A click tells the script the number of the word; pointing at
// one, touching it, or going there by the arrow keys shows what there is to say of it.

const GAP = 6 // pixels between a word and its tip

/** A word's element. What can be clicked on is a button. */
function made(token, number, { mode, clicks, chosen, color }) {
  const node = document.createElement(clicks && token.fixed !== true ? "button" : "span")
  const isChosen = number === chosen
  node.className = `${mode === "prose" ? "piece" : "chip"} ${token.look ?? ""}`
  node.classList.toggle("light", Boolean(token.light))
  node.classList.toggle("chosen", isChosen)
  node.dataset.number = number
  if (mode === "prose") {
    node.textContent = token.text
  } else {
    node.style.setProperty("--shade", token.shade)
    node.style.setProperty("--shade-color", color)
    for (const [look, text] of [["word", token.text], ["as", token.as], ["note", token.note]]) {
      if (!text) continue
      const line = document.createElement("span")
      line.className = look
      line.textContent = look === "as" ? `read as ${text}` : text
      node.append(line)
    }
  }
  if (node.tagName === "BUTTON") {
    node.type = "button"
    node.tabIndex = isChosen ? 0 : -1
    node.setAttribute("aria-pressed", String(isChosen))
    node.setAttribute("aria-label", [token.text, ...(token.tip ?? [])].join(", "))
  }
  return node
}

/** Words as a text. The mark of an end does not stand on a line of its own. */
function written(nodes, tokens) {
  const found = []
  nodes.forEach((node, i) => {
    const { glued, end } = tokens[i], before = found.at(-1)
    if (end && i && !tokens[i - 1].end) {
      const together = document.createElement("span")
      together.style.whiteSpace = "nowrap"
      together.append(before, " ", node)
      found.splice(-1, 1, together)
    } else {
      found.push(...(i && !glued ? [" "] : []), node)
    }
    if (end) found.push(document.createElement("br"))
  })
  return found
}

function showTip(root, node, token) {
  const tip = root.querySelector(".tip")
  tip.classList.toggle("open", Boolean(node && token?.tip?.length))
  tip.dataset.of = node?.dataset.number ?? ""
  if (!tip.classList.contains("open")) return
  const title = document.createElement("b")
  title.textContent = token.text
  tip.replaceChildren(title, ...token.tip.flatMap((line, i) => (i ? [document.createElement("br"), line] : [line])))
  const whole = root.getBoundingClientRect(), word = node.getClientRects()[0], box = tip.getBoundingClientRect()
  const middle = word.left + word.width / 2 - whole.left
  tip.style.left = `${Math.max(0, Math.min(middle - box.width / 2, whole.width - box.width))}px`
  const above = word.top - box.height - GAP
  tip.style.top = `${(above < 60 ? word.bottom + GAP : above) - whole.top}px`
}

export function chips({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".unrolled-chips"), row = root.querySelector(".row")
  const focused = row.contains(document.activeElement) ? document.activeElement.dataset.number : null
  root.className = `unrolled-chips ${data.mode}`
  root.dataset.name = data.name
  // On a shade of middling strength only plain black or white can be read.
  const [red, green, blue] = getComputedStyle(root).color.match(/[\d.]+/g).map(Number)
  root.style.setProperty("--ink", red + green + blue > 382 ? "#FFFFFF" : "#000000")
  root.setAttribute("aria-label", data.label)
  const before = [...row.querySelectorAll("[data-number]")].map(node => node.textContent)
  const nodes = data.tokens.map((token, i) => made(token, i, data))
  row.replaceChildren(...(data.mode === "prose" ? written(nodes, data.tokens) : nodes))
  const buttons = nodes.filter(node => node.tagName === "BUTTON")
  if (buttons.length && !buttons.some(node => node.tabIndex === 0)) buttons[0].tabIndex = 0
  if (focused !== null) nodes[focused]?.focus({ preventScroll: true })
  const of = event => event.target.closest?.("[data-number]")
  const tell = node => showTip(root, node, node && data.tokens[node.dataset.number])
  // A click that the script answers draws the row anew: what a touch opened stays open.
  const told = root.querySelector(".tip.open")?.dataset.of
  tell(nodes[told]?.textContent === before[told] ? nodes[told] : null)
  row.onclick = event => {
    const node = of(event)
    if (node) tell(node)
    if (node?.tagName === "BUTTON") setTriggerValue("click", node.dataset.number)
  }
  row.onpointerover = event => tell(of(event))
  row.onpointerleave = () => tell(null)
  row.onfocusin = event => event.target.matches(":focus-visible") && tell(of(event))
  row.onfocusout = () => tell(null)
  row.onkeydown = event => {
    const to = { ArrowRight: 1, ArrowLeft: -1 }[event.key], at = buttons.indexOf(document.activeElement)
    if (event.key === "Escape") tell(null)
    if (!to || at < 0) return
    event.preventDefault()
    buttons[at].tabIndex = -1
    const next = buttons[(at + to + buttons.length) % buttons.length]
    next.tabIndex = 0
    next.focus()
  }
}
