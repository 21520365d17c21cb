// In Python's place: answers what the page asks, from stored states. See export.py for the arguments' meaning.
//
// `state` holds the settings. A change of one picks the frame of the new state, and gives each slot, a property of a model, its
// value in it, unless it has that value already.

const flat = new Float32Array(numbers.buffer, numbers.byteOffset, numbers.length)
const known = new Map()  // what each slot holds: the number of its value

function value_of(number) {
  const [kind, ...rest] = values[number]
  if (kind === "n") return flat.subarray(rest[0], rest[0] + rest[1])
  if (kind === "l") return rest[0].map(value_of)
  if (kind === "d") return Object.fromEntries(Object.entries(rest[0]).map(([name, part]) => [name, value_of(part)]))
  if (kind === "m") return new Map(rest[0])
  return rest[0]
}

function give(slot, number) {
  if (number < 0 || known.get(slot) === number) return
  known.set(slot, number)
  models[slot][attributes[slot]] = value_of(number)
}

const state = {view: page.data.view[0], theme: "light", ...first}
let following = false  // whether the controls are just being brought in step

function show() {
  following = true
  const key = [state.view, state.theme, ...grids[state.view].map(name => state[name])].join("|")
  if (!frames[key]) throw new Error(`no stored state ${key}`)
  for (const [slot, number] of themes[state.theme]) give(slot, number)
  frames[key].forEach((number, slot) => give(slot, number))
  for (const [name, widget] of Object.entries(widgets)) {
    if (name !== "tree_select") widget.value = state[name]
  }
  const names = Object.keys(grids)
  tabs.active = names.indexOf(state.view)
  page.data = {query: [""], view: [state.view], theme: [state.theme], views: names}
  following = false
}

function change(settings) {
  if (following) return
  Object.assign(state, settings)
  show()
}

const answers = {
  view: view => change({view}),
  theme: theme => change({theme}),
}

function asked() {
  ask.data.kind.forEach((kind, n) => answers[kind]?.(JSON.parse(ask.data.value[n])))
  setTimeout(() => { answer.data = {number: [ask.data.number[0]]} }, 0)
}
ask.properties.data.change.connect(asked)

for (const name of ["wavelet", "depth", "signal"]) {
  widgets[name]?.properties.value.change.connect(() => change({[name]: widgets[name].value}))
}
tabs.properties.active.change.connect(() => change({view: Object.keys(grids)[tabs.active]}))
theme_button.on_event("button_click", () => change({theme: state.theme === "dark" ? "light" : "dark"}))
show()
if (ask.data.kind.length > 0) asked()  // what was asked before this file ran
