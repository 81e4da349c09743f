"use strict";
(function () {
  const data = JSON.parse(document.getElementById("wafer-data").textContent);
  const get = (id) => document.getElementById(id);
  const picker = get("layer"), slider = get("frame"), hover = get("hover"), legend = get("legend");
  const number = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 3 });
  let model = null;

  const chosen = () => data.layers[Number(picker.value)];
  const frame = () => Number(slider.value);
  const overTime = () => data.frames !== null && frame() > 0 && chosen().frames >= 0;

  function words(layer, value, exact) {
    const about = exact ? "" : "≈ ";
    if (layer.names.length) return about + (layer.names[value] ?? String(value));
    const text = about + number(value) + (layer.unit ? " " + layer.unit : "");
    return layer.per_cycle && data.cycles ? text + " (" + number((100 * value) / data.cycles) + " %)" : text;
  }

  function valueAt(k, place) {
    const layer = data.layers[k];
    const step = model("whole").data["l" + k][0][place];
    if (step === 0) return "no tile";
    if (layer.values) return words(layer, layer.values[place], true);
    const value = layer.low + ((step - 1) / 254) * Math.max(1, layer.high - layer.low);
    return words(layer, Math.round(value), layer.exact);
  }

  function blockWords(x, y) {
    const f = data.frames, layer = chosen().frames;
    const bx = Math.floor(x / f.block[0]), by = Math.floor(y / f.block[1]);
    const step = model("parts").data["f" + layer + "_" + (frame() - 1)][0][by * f.across + bx];
    if (step === 0) return "no tile";
    const share = (step - 1) / 254;
    const value = chosen().name === "wavelets" ? number(share * f.most_wavelets) + " wavelets per cycle and PE" : number(100 * share) + " %";
    return chosen().title + " in these cycles: ≈ " + value;
  }

  window.waferHover = function (x, y) {
    if (model === null) return;
    if (x === null || x < 0 || y < 0 || x >= data.width || y >= data.height) {
      hover.textContent = "move over the map";
      hover.removeAttribute("data-pe");
      return;
    }
    const px = Math.floor(x), py = Math.floor(y), place = py * data.width + px;
    const rows = data.layers.map((layer, k) => layer.title + ": " + valueAt(k, place));
    if (overTime()) rows.unshift(blockWords(px, py));
    hover.textContent = "PE (" + px + ", " + py + ")\n" + rows.join("   ·   ");
    hover.dataset.pe = px + "," + py;
  };

  function drawLegend() {
    const layer = chosen();
    legend.replaceChildren();
    if (layer.names.length) {
      legend.textContent = layer.names.slice(0, 12).join(", ") + (layer.names.length > 12 ? ", ..." : "");
      return;
    }
    const ramp = document.createElement("span");
    ramp.className = "ramp";
    const ends = overTime()
      ? chosen().name === "wavelets" ? ["0", number(data.frames.most_wavelets) + " wavelets per cycle and PE"] : ["0 %", "100 %"]
      : [words(layer, layer.low, true), words(layer, layer.high, true)];
    legend.append(ends[0], ramp, ends[1]);
  }

  function draw() {
    const cells = model("cells"), blocks = model("blocks");
    cells.glyph.image = { field: "l" + picker.value };
    cells.visible = !overTime();
    if (blocks) {
      blocks.visible = overTime();
      if (overTime()) blocks.glyph.image = { field: "f" + chosen().frames + "_" + (frame() - 1) };
    }
    if (data.frames !== null) {
      const edges = data.frames.edges, k = frame();
      const span = k ? "cycles " + number(edges[k - 1]) + " to " + number(edges[k] - 1) : "whole run";
      get("when").textContent = span + (k && chosen().frames < 0 ? " (this layer is not sampled: whole run shown)" : "");
    }
    drawLegend();
  }

  function start() {
    const found = window.Bokeh && Bokeh.documents.length ? Bokeh.documents[0] : null;
    if (found === null || !found.get_model_by_name("cells") || !found.is_idle) {
      window.requestAnimationFrame(start);
      return;
    }
    model = (name) => found.get_model_by_name(name);
    if (data.frames !== null) {
      slider.max = String(data.frames.edges.length - 1);
      get("slider").hidden = false;
    }
    picker.addEventListener("change", draw);
    slider.addEventListener("input", draw);
    draw();
    window.requestAnimationFrame(() => document.body.setAttribute("data-ready", String(Math.round(performance.now()))));
  }
  start();
})();
