// What happens in the browser itself: the address, dragging taps and the cursor, keys, playing, files, copying.
//
// What changes quickly goes to Python through `send(kind, value)`. While Python computes one answer, only the newest value of each
// kind waits, so that nothing queues up behind a fast hand. This file is the body of a function of three data sources, `ask`,
// `answer` and `page`; it runs once, when the document is there, and leaves `window.multires` for the callbacks of the figures.

const find = name => Bokeh.documents[0].get_model_by_name(name)
const waiting = new Map()
let busy = false, number = 0, timer = null

function flush() {
  if (busy || waiting.size === 0) return
  busy = true
  number += 1
  const kinds = [...waiting.keys()], values = [...waiting.values()].map(value => JSON.stringify(value))
  waiting.clear()
  timer = setTimeout(done, 5000)  // should an answer be lost, the page goes on
  ask.data = {kind: kinds, value: values, number: kinds.map(() => number)}
}

function done() {
  clearTimeout(timer)
  busy = false
  flush()
}

function send(kind, value) {
  waiting.set(kind, value)
  flush()
}

answer.properties.data.change.connect(done)

// the address holds the settings, and the theme colours what is not drawn by Bokeh

let address = null

function show_settings() {
  clearTimeout(address)  // browsers allow a few hundred changes of the address in half a minute
  address = setTimeout(() => history.replaceState(null, "", page.data.query[0] ? "?" + page.data.query[0] : location.pathname), 200)
  document.documentElement.dataset.theme = page.data.theme[0]
}
page.properties.data.change.connect(show_settings)
if (!page.data.theme[0] && matchMedia("(prefers-color-scheme: dark)").matches) send("theme", "dark")
else show_settings()

// taps: the one nearest to the pointer follows it up and down; its lag is fixed

const NAMES = ["h0", "h1"]
let held = null, chosen = {name: "h0", k: 0}

function mark() {
  for (const name of NAMES) {
    const ring = find("ring_" + name), taps = find(name)
    if (!ring || !taps) continue
    const k = Math.min(chosen.k, taps.data.value.length - 1), here = name === chosen.name
    ring.data = {lag: here ? [taps.data.lag[k]] : [], value: here ? [taps.data.value[k]] : []}
  }
}

function set_tap(name, k, value) {
  const taps = find(name)
  const values = Array.from(taps.data.value)
  values[k] = Math.round(1e4 * Math.max(-10, Math.min(10, value))) / 1e4
  taps.data.value = values
  taps.change.emit()  // drawn at once, before Python answers
  const pair = Object.fromEntries(NAMES.map(other => [other, Array.from(find(other).data.value)]))
  send("taps", pair)
  mark()
}

function grab(name, event) {
  const lags = find(name).data.lag
  const k = Math.max(0, Math.min(lags.length - 1, Math.round(event.x)))
  chosen = {name, k}
  mark()
  return k
}

function taps_pan(name, event) {
  if (event.event_name === "panstart") held = {name, k: grab(name, event), value: event.y}
  if (held === null || held.name !== name) return
  if (event.event_name === "panend") {
    held = null
    return
  }
  held.value = event.y
  set_tap(name, held.k, event.y)
}

function taps_came(name) {  // Python's answer may be older than the hand
  if (held !== null && held.name === name && held.k < find(name).data.value.length) {
    const values = Array.from(find(name).data.value)
    values[held.k] = Math.round(1e4 * held.value) / 1e4
    find(name).data.value = values
  }
  mark()
}

// the cursor: the slider holds n; a pointer in the signal, keys, and playing move the slider

let playing = null

function move_to(n) {
  const slider = find("n")
  if (slider) slider.value = Math.max(slider.start, Math.min(slider.end, Math.round(n)))
}

function play(on) {
  clearInterval(playing)
  playing = null
  const slider = find("n")
  if (!on || !slider) return
  if (slider.value >= slider.end) move_to(slider.start)
  const step = Math.max(1, Math.round((slider.end - slider.start) / 400))
  playing = setInterval(() => {
    if (page.data.view[0] !== "memory" || slider.value >= slider.end) find("play").active = false
    else move_to(slider.value + step)
  }, 50)
}

// keys: 1, 2, ... choose a view; arrows move the cursor, or choose and move a tap; space plays

const TYPING = ["INPUT", "SELECT", "TEXTAREA"]

function key_in_memory(event) {
  const slider = find("n")
  const far = event.shiftKey ? 16 : 1
  if (event.key === "ArrowLeft") move_to(slider.value - far)
  else if (event.key === "ArrowRight") move_to(slider.value + far)
  else if (event.key === "Home") move_to(slider.start)
  else if (event.key === "End") move_to(slider.end)
  else if (event.key === " ") find("play").active = !find("play").active
  else return false
  return true
}

function key_in_filters(event) {
  const {name, k} = chosen, K = find(name).data.value.length, step = event.shiftKey ? 0.001 : 0.02
  if (event.key === "ArrowLeft") chosen = {name, k: Math.max(0, k - 1)}
  else if (event.key === "ArrowRight") chosen = {name, k: Math.min(K - 1, k + 1)}
  else if (event.key === "h") chosen = {name: name === "h0" ? "h1" : "h0", k}
  else if (event.key === "ArrowUp") set_tap(name, k, find(name).data.value[k] + step)
  else if (event.key === "ArrowDown") set_tap(name, k, find(name).data.value[k] - step)
  else return false
  mark()
  return true
}

function key_in_tree(event) {
  const steps = {ArrowLeft: "older", ArrowRight: "newer", ArrowUp: "up", ArrowDown: "down"}
  if (!(event.key in steps)) return false
  send("walk", steps[event.key])
  return true
}

const KEYS = {memory: key_in_memory, filters: key_in_filters, tree: key_in_tree}

document.addEventListener("keydown", event => {
  const target = event.composedPath()[0]
  if (event.ctrlKey || event.metaKey || event.altKey || TYPING.includes(target.tagName)) return
  if (target.className?.includes?.("noUi-handle") && event.key.startsWith("Arrow")) return
  if (event.key === " " && target.tagName === "BUTTON") return
  const view = Number(event.key)
  if (view >= 1 && view <= page.data.views[0].length) send("view", page.data.views[0][view - 1])
  else if (!(KEYS[page.data.view[0]]?.(event))) return
  event.preventDefault()
})

// files and the clipboard

function choose_file(largest) {
  const input = document.createElement("input")
  input.type = "file"
  input.accept = ".npy,.csv,.wav"
  input.onchange = () => {
    const file = input.files[0]
    if (!file) return
    if (file.size > largest) return send("file", {name: file.name, size: file.size, base64: ""})
    const reader = new FileReader()
    reader.onload = () => send("file", {name: file.name, size: file.size, base64: reader.result.split(",")[1] ?? ""})
    reader.readAsDataURL(file)
  }
  input.click()
}

async function copy(text, button, label) {
  try {
    await navigator.clipboard.writeText(text)
    button.label = "copied"
  } catch {
    button.label = "select the lines below and copy them"
  }
  setTimeout(() => { button.label = label }, 1500)
}

window.multires = {send, find, grab, mark, taps_pan, taps_came, move_to, play, choose_file, copy}
