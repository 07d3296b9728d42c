// From processes and channels to what is drawn: nodes, hubs where more than two meet, edges, and the islands of these.
const ALIKE = 4; // as many of the same make one
// A node that joins this many groups of others would make one tangle of them.
const JOINS_MAX = 3, HUB_LEAST = 6, CENTER_LEAST = 12, TANGLE = 40;

const order = (a, b) => a.sort < b.sort ? -1 : a.sort > b.sort ? 1 :
  a.label.localeCompare(b.label, "en", { numeric: true });

const otherEnd = (edge, node) => edge.from === node ? edge.to : edge.from;

function addEdge(edges, from, to, forth, back, channel) {
  if (from.id > to.id) [from, to, forth, back] = [to, from, back, forth];
  const id = ["e" + from.id, to.id, channel.kind, forth, back].join("|");
  const edge = edges.get(id) || { id, from, to, forth, back, kind: channel.kind, channels: [], bad: null };
  edge.channels.push(channel);
  edge.bad = edge.bad || channel.bad;
  edges.set(id, edge);
}

function attach(nodes, edges) {
  for (const node of nodes) node.edges = [];
  for (const edge of edges) { edge.from.edges.push(edge); edge.to.edges.push(edge); }
  return { nodes, edges };
}

function graphOf(model, filter, opened) {
  const { set, channels } = visible(model, filter), nodes = new Map(), edges = new Map();
  const box = index => {
    const process = model.processes[index];
    if (!nodes.has(process.id)) nodes.set(process.id, { id: process.id, processes: [process], label: process.name,
      number: String(process.pid), sort: process.name, bad: process.bad });
    return nodes.get(process.id);
  };
  for (const channel of channels) {
    const members = [...channel.members].filter(([index]) => set.has(index));
    if (members.length < 2 && !(members.length && isAwaited(channel))) continue;
    if (members.length === 2 && !isAwaited(channel)) {
      const [[a, x], [b, y]] = members;
      addEdge(edges, box(a), box(b), x.sends && y.receives, y.sends && x.receives, channel);
      continue;
    }
    const hub = { id: channel.id, channel, kind: channel.kind, label: channelLabel(channel), number: "", sort: "",
      bad: channel.bad };
    nodes.set(hub.id, hub);
    for (const [index, member] of members) addEdge(edges, box(index), hub, member.sends, member.receives, channel);
  }
  for (const index of set) if (model.processes[index].bad) box(index);
  const whole = attach([...nodes.values()], [...edges.values()]);
  const graph = untangle(together(whole, opened));
  graph.alone = [...set].filter(index => !nodes.has(model.processes[index].id)).map(index => model.processes[index]);
  return graph;
}

// Processes of one name and user with the same neighbours, and hubs with the same members, become one with a count.
function together(graph, opened) {
  const sets = new Map(), stands = new Map(), nodes = [], edges = new Map();
  for (const node of graph.nodes) {
    const around = node.edges.map(edge => (edge.from === node ? ">" + edge.to.id : "<" + edge.from.id) + edge.kind +
      edge.forth + edge.back);
    const about = node.processes ? node.label + "|" + node.processes[0].uid : "hub " + node.kind;
    const key = node.bad || !around.length ? node.id : about + "|" + around.sort().join(" ");
    if (!sets.has(key)) sets.set(key, []);
    sets.get(key).push(node);
  }
  for (const [key, members] of sets) {
    const first = members[0];
    if (members.length < (first.processes ? ALIKE : 2) || opened.has(key)) { nodes.push(...members); continue; }
    const node = { ...first, id: "s" + key, key, several: members.length, number: "×" + members.length };
    if (first.processes) node.processes = members.map(member => member.processes[0]).sort((a, b) => a.pid - b.pid);
    else { node.channels = members.map(member => member.channel); node.label = first.kind; }
    for (const member of members) stands.set(member, node);
    nodes.push(node);
  }
  for (const edge of graph.edges) {
    const from = stands.get(edge.from) || edge.from, to = stands.get(edge.to) || edge.to;
    const id = ["e" + from.id, to.id, edge.kind, edge.forth, edge.back].join("|"), known = edges.get(id);
    if (!known) { edges.set(id, { ...edge, id, from, to, channels: [...edge.channels] }); continue; }
    known.channels.push(...edge.channels);
    known.bad = known.bad || edge.bad;
  }
  return attach(nodes, [...edges.values()]);
}

// ---- What belongs together ---------------------------------------------------------------------------------------

function neighboursOf(node) { return new Set(node.edges.map(edge => otherEnd(edge, node))); }

// Sets that grow together: find(node) is the same for two that are joined.
function unions(nodes) {
  const parent = new Map(nodes.map(node => [node, node])), size = new Map(nodes.map(node => [node, 1]));
  const find = node => {
    while (parent.get(node) !== node) { parent.set(node, parent.get(parent.get(node))); node = parent.get(node); }
    return node;
  };
  const join = (a, b) => {
    [a, b] = [find(a), find(b)];
    if (a === b) return;
    if (size.get(a) < size.get(b)) [a, b] = [b, a];
    parent.set(b, a);
    size.set(a, size.get(a) + size.get(b));
  };
  return { find, join, sizeOf: node => size.get(find(node)) };
}

// What half of the machine inherited (a terminal, the pipe of a log) would make one tangle of all.  It gets an island
// of its own; a process in the middle of many groups stands in each of them once more, as a mark.
function untangle(graph) {
  const centers = graph.nodes.map(node => [node, neighboursOf(node).size])
    .filter(([node, degree]) => degree >= (node.processes ? CENTER_LEAST : HUB_LEAST))
    .sort(([a, x], [b, y]) => x - y || order(a, b)).map(([node]) => node);
  const open = new Set(centers), set = unions(graph.nodes), cuts = [];
  for (const edge of graph.edges) if (!open.has(edge.from) && !open.has(edge.to)) set.join(edge.from, edge.to);
  for (const center of centers) {
    open.delete(center);
    const near = [...neighboursOf(center)].filter(node => !open.has(node));
    const groups = new Set(near.filter(node => set.sizeOf(node) > 1).map(set.find));
    const total = [...groups].reduce((sum, node) => sum + set.sizeOf(node), 0);
    const tangles = groups.size >= JOINS_MAX && (!center.processes || total > TANGLE);
    if (tangles) cuts.push(center);
    for (const node of near) if (!tangles || set.sizeOf(node) === 1) set.join(center, node);
  }
  return cuts.length ? cutAt(graph, cuts, set) : graph;
}

function cutAt(graph, cuts, set) {
  const cut = new Set(cuts), marks = new Map(), edges = [];
  const markOf = (center, node) => {
    const id = "m" + center.id + "@" + set.find(node).id;
    if (!marks.has(id)) marks.set(id, { ...center, id, mark: center, bad: null });
    return marks.get(id);
  };
  for (const edge of graph.edges) {
    const center = cut.has(edge.from) ? edge.from : edge.to, node = otherEnd(edge, center);
    if (set.find(center) === set.find(node)) { edges.push(edge); continue; }
    if (!center.processes) { center.elsewhere = (center.elsewhere || 0) + (node.several || 1); continue; }
    const mark = markOf(center, node);
    edges.push({ ...edge, id: edge.id + "@", [edge.from === center ? "from" : "to"]: mark });
  }
  return attach([...graph.nodes, ...marks.values()], edges);
}

function islandsOf(graph) {
  const seen = new Set(), islands = [];
  for (const start of [...graph.nodes].sort(order)) {
    if (seen.has(start)) continue;
    const nodes = [start], edges = new Set();
    seen.add(start);
    for (const node of nodes)
      for (const edge of node.edges) {
        edges.add(edge);
        const other = otherEnd(edge, node);
        if (!seen.has(other)) { seen.add(other); nodes.push(other); }
      }
    islands.push({ nodes, edges: [...edges], bad: nodes.some(node => node.bad), alike: 1, key: "" });
  }
  return islands;
}

function shapeOf(island) {
  const word = node => (node.processes ? node.label : node.kind) + (node.several || "");
  const edges = island.edges.map(e => [word(e.from) + e.forth + e.back + word(e.to),
    word(e.to) + e.back + e.forth + word(e.from)].sort()[0] + e.kind);
  return "c" + island.nodes.map(word).sort().join() + "|" + edges.sort().join();
}

// Islands that look the same are shown once, but for those that are stuck.
function distinct(islands, opened) {
  const shapes = new Map();
  for (const island of islands) {
    const shape = shapeOf(island);
    if (!shapes.has(shape)) shapes.set(shape, []);
    shapes.get(shape).push(island);
  }
  return [...shapes].flatMap(([shape, same]) => {
    const calm = same.filter(island => !island.bad);
    if (calm.length < ALIKE || opened.has(shape)) return same;
    calm[0].alike = calm.length;
    calm[0].key = shape;
    calm[0].others = calm.slice(1);
    return [...same.filter(island => island.bad), calm[0]];
  });
}
