// In Python's place: answers what the page asks, from stored states. `export.py` names the arguments.
//
// `state` holds the settings. A change of one picks the frame of the new state, and gives each slot, a property of a model, its
// value in it, unless it has that value already. What depends on the time n is computed here.

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
  return new Response(stream).arrayBuffer()
}

// linear algebra, and the tree's memory: z_n = M p_n, recovered = M^T G z_n; rows of M are impulse responses, late by their lag

function spread(g, h, dilation) {  // the full convolution of g with taps that stand `dilation` samples apart
  const out = new Float64Array(g.length + (h.length - 1) * dilation)
  h.forEach((tap, k) => g.forEach((value, t) => { out[t + k * dilation] += tap * value }))
  return out
}

function impulses([h0, h1], depth) {  // of b_1 ... b_J and a_J
  const details = []
  let g = new Float64Array([1])
  for (let i = 1; i <= depth; i++) {
    details.push(spread(g, h1, 2 ** (i - 1)))
    g = spread(g, h0, 2 ** (i - 1))
  }
  return [...details, g]
}

const times = (G, z) => G.map(row => row.reduce((sum, value, r) => sum + value * z[r], 0))

function past_of(x, n, R) {  // x[n], x[n-1], ..., with zeros before the beginning
  return Float64Array.from({length: R}, (_, t) => n - t >= 0 ? x[n - t] : 0)
}

function held_by({rows}, responses, p) {  // z_n
  return rows.map(([kind, level, lag]) => {
    if (kind === "unused") return 0
    const response = responses[kind === "a" ? responses.length - 1 : level - 1]
    let sum = 0
    for (let t = 0; t < response.length && t + lag < p.length; t++) sum += response[t] * p[t + lag]
    return sum
  })
}

function recovered_from({rows, G}, responses, z, R) {
  const out = new Float64Array(R), weights = times(G, z)
  rows.forEach(([kind, level, lag], r) => {
    if (kind === "unused") return
    const response = responses[kind === "a" ? responses.length - 1 : level - 1]
    for (let t = 0; t < response.length && t + lag < R; t++) out[t + lag] += weights[r] * response[t]
  })
  return out
}

const norm = v => Math.sqrt(v.reduce((sum, value) => sum + value * value, 0))
const range_of = v => v.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity])
const digits = i => String(i).replace(/[0-9]/g, d => "₀₁₂₃₄₅₆₇₈₉"[d])
const short = value => String(Number(value.toPrecision(3)))

function coefficient(kind, level, lag) {
  return `${level === 0 ? "x" : kind + digits(level)}[n${lag ? "−" + lag : ""}]`
}

async function start() {
  const store = JSON.parse(new TextDecoder().decode(await unpack(packed_store)))
  const numbers = new Float32Array(await unpack(packed_numbers))
  const {choices, settings, looks} = store
  const names = Object.keys(settings)
  const state = store.first
  const known = new Map()  // what each slot holds: the number of its value
  let following = false  // whether the controls are just being brought in step

  // stored values

  function themed(colour) {
    if (state.theme === "light") return colour
    const {light, dark} = looks, level = light.levels[state.depth].indexOf(colour)
    if (level >= 0) return dark.levels[state.depth][level]
    const name = ["ink", "paper", "quiet"].find(name => light[name] === colour)
    return name ? dark[name] : colour
  }

  function value_of(number) {
    const [kind, ...rest] = store.values[number]
    if (kind === "n") return numbers.subarray(rest[0], rest[0] + rest[1])
    if (kind === "l") return rest[0].map(value_of)
    if (kind === "d") return Object.fromEntries(Object.entries(rest[0]).map(([name, part]) => [name, value_of(part)]))
    if (kind === "m") return new Map(rest[0])
    if (kind === "c") return rest[0].flatMap(([colour, count]) => Array(count).fill(themed(colour)))
    return rest[0]
  }

  function give(slot, number) {
    if (number < 0 || known.get(slot) === number) return
    known.set(slot, number)
    models[slot][store.attributes[slot]] = value_of(number)
  }

  function put_on(theme) {
    known.clear()  // colours inside columns change too
    const which = theme === "dark" ? 1 : 0
    theme_models.forEach((model, k) => { model[store.theme_attributes[k]] = value_of(store.themes[k][which]) })
  }

  // what depends on the time n

  function remembered() {
    const taps = store.taps[state.wavelet], J = state.depth
    const responses = impulses(taps, J), R = responses[J].length
    const x = store.signals[state.signal], n = Math.min(state.n, x.length - 1), p = past_of(x, n, R), size = norm(p)
    const kinds = Object.fromEntries(["fading", "uniform"].map(kind => {
      const memory = store.memories[`${state.wavelet}|${J}|${kind}`], z = held_by(memory, responses, p)
      return [kind, {z, m: z.length, found: recovered_from(memory, responses, z, R), rows: memory.rows}]
    }))
    const m = kinds.uniform.m
    kinds.last = {m, found: p.map((value, t) => t < m ? value : 0)}
    for (const kind of Object.values(kinds)) {
      kind.error = size ? norm(kind.found.map((value, t) => value - p[t])) / size : 0
    }
    return {responses, R, x, n, p, kinds}
  }

  function title_of(kind, {m, error}) {
    return `${kind === "last" ? `the last ${m} samples` : `${kind}, m = ${m}`}: error ${short(100 * error)} %`
  }

  function past_columns({R, p}) {
    const shown = Math.min(R, 2048)
    return {x: Float64Array.from({length: shown}, (_, t) => -t), past: p.slice(0, shown), shown}
  }

  function show_kept() {
    const now = remembered(), {x, past, shown} = past_columns(now), kept = now.kinds[state.tree_select]
    sources.kept_past.data = {x, past, recovered: kept.found.slice(0, shown)}
    figures.kept.title.text = `${state.signal} at n = ${now.n}, from the memory: ${title_of(state.tree_select, kept)}`
    const [low, high] = range_of(past), room = 0.2 * (high - low) || 1
    figures.kept.x_range.setv({start: -shown + 0.5, end: 0.5})
    figures.kept.y_range.setv({start: low - room, end: high + 1.5 * room})
  }

  function largest_bar({responses, R, x, kinds}) {
    const count = Math.trunc(Math.max(4, Math.min(64, 2 ** 20 / R))), {rows} = kinds[state.tree_select]
    let most = 0
    for (let k = 0; k < count; k++) {
      const z = held_by({rows}, responses, past_of(x, Math.trunc(k * (x.length - 1) / (count - 1)), R))
      z.forEach((value, r) => { most = Math.max(most, Math.abs(value) / 2 ** (rows[r][1] / 2)) })
    }
    return most
  }

  let most_of = null
  function show_memory() {
    const now = remembered(), {R, x, n, kinds} = now, {z, rows} = kinds[state.tree_select]
    const columns = past_columns(now), {shown} = columns
    const key = [state.wavelet, state.depth, state.tree_select, state.signal].join("|")
    if (most_of?.key !== key) most_of = {key, most: largest_bar(now)}
    const colours = looks[state.theme].levels[state.depth]
    sources.samples.data = {t: x.map((_, t) => t), x}
    sources.cursor.data = {n: [n], x: [x[n]]}
    sources.seen.data = {left: [Math.max(0, n - R + 1) - 0.5], right: [n + 0.5]}
    sources.bars.data = {
      row: rows.map((_, r) => rows.length - 1 - r),
      name: rows.map(([kind, level, lag]) => kind === "unused" ? kind : coefficient(kind, level, lag)),
      z, bar: z.map((value, r) => value / 2 ** (rows[r][1] / 2)),
      colour: rows.map(([, level]) => level ? colours[level - 1] : looks[state.theme].quiet),
      most: rows.map(() => most_of.most),
    }
    const found = Object.fromEntries(Object.entries(kinds).map(([kind, memory]) => [kind, memory.found.slice(0, shown)]))
    sources.past.data = {x: columns.x, past: columns.past, ...found}
    fit_memory(now, shown, Math.max(most_of.most, ...sources.bars.data.bar.map(Math.abs)))
    const text = store.python[key], label = /^n, J, m = \d+/m
    lines.text = text.replace(label, `n, J, m = ${n}`)
    known.delete(models.indexOf(lines))
  }

  function fit_memory({x, kinds}, shown, most) {
    const [low, high] = range_of(x)
    let room = 0.06 * (high - low) || 1
    figures.signal.x_range.setv({start: -0.5, end: x.length - 0.5})
    figures.signal.y_range.setv({start: low - room, end: high + room})
    figures.bars.x_range.setv({start: -1.26 * most || -1.2, end: 1.26 * most || 1.2})
    figures.bars.title.text = `The memory z_n: ${kinds[state.tree_select].m} numbers`
    for (const kind of Object.keys(kinds)) figures[kind].title.text = title_of(kind, kinds[kind])
    room = 0.15 * (high - low) || 1
    figures.fading.x_range.setv({start: -shown + 0.5, end: 0.5})
    figures.fading.y_range.setv({start: Math.min(low, 0) - room, end: Math.max(high, 0) + room})
    const slider = window.multires?.find("n")
    if (slider) slider.setv({end: x.length - 1, value: Math.min(state.n, x.length - 1)})
  }

  // the page

  function show() {
    following = true
    const key = [state.view, ...settings[state.view].map(name => state[name])].join("|")
    store.frames[key].forEach((number, slot) => give(slot, number))
    if (state.view in about_stored) {
      about.text = about_stored[state.view]
      known.delete(models.indexOf(about))
    }
    if (state.view === "filters") show_kept()
    else if (state.view === "memory") show_memory()
    for (const name of ["wavelet", "depth", "signal"]) widgets[name].value = state[name]
    widgets.tree_select.active = choices.tree_select.indexOf(state.tree_select)
    tabs.active = names.indexOf(state.view)
    page.data = {query: [query()], view: [state.view], theme: [state.theme], views: [names]}
    following = false
  }

  function query() {  // as in the served page's address; a page from a disk has an address of its own
    if (location.protocol === "file:") return ""
    const kept = ["view", "wavelet", "depth", "tree_select", "signal", "n", "theme"]
    return new URLSearchParams(kept.map(name => [name, state[name]])).toString()
  }

  function change(given) {
    if (following) return
    const theme = state.theme
    Object.assign(state, given)
    if (state.theme !== theme) put_on(state.theme)
    show()
  }

  function from_address() {  // what an address says rightly; the rest is left as it is
    const given = {}
    for (const [name, text] of new URLSearchParams(window.address_at_first)) {
      const found = {...choices, view: names, theme: ["light", "dark"]}[name]?.find(choice => String(choice) === text)
      if (found !== undefined) given[name] = found
      else if (name === "n" && /^\d{1,4}$/.test(text)) given.n = Number(text)
    }
    return given
  }

  const answers = {
    view: view => change({view}),
    theme: theme => change({theme}),
    n: n => change({n}),
    taps: () => { known.clear(); show() },  // they belong to the wavelet: drawn again as they are
  }

  function asked() {
    ask.data.kind.forEach((kind, k) => answers[kind]?.(JSON.parse(ask.data.value[k])))
    setTimeout(() => { answer.data = {number: [ask.data.number[0]]} }, 0)
  }

  for (const name of ["wavelet", "depth", "signal"]) {
    widgets[name].properties.value.change.connect(() => change({[name]: widgets[name].value}))
  }
  widgets.tree_select.properties.active.change.connect(() => change({tree_select: choices.tree_select[widgets.tree_select.active]}))
  tabs.properties.active.change.connect(() => change({view: names[tabs.active]}))
  theme_button.on_event("button_click", () => change({theme: state.theme === "dark" ? "light" : "dark"}))
  ask.properties.data.change.connect(asked)
  change(from_address())
  if (ask.data.kind.length > 0) asked()  // what was asked before the store was unpacked
  document.documentElement.dataset.ready = "yes"
}

start()
