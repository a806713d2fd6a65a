// What the colours mean: a title with the unit, the ramp, and round numbers on it.
function ticks({ low, high, unit }, few) {
  const out = [];
  const most = Math.max(Math.abs(low), Math.abs(high)), [name, size] = unit === "m" ? metres.find(([, size]) => most >= size) || metres[3] : [unit, 1];
  const fine = round((high - low) / size / few * 1.001), digits = Math.max(-Math.floor(Math.log10(fine) + 1e-9), 0);
  const power = Math.floor(Math.log10(most / size) + 1e-9), short = power < -4 || power > 6;
  for (let k = Math.ceil(low / size / fine - 1e-9); k * fine <= high / size * (1 + 1e-9); k++) {
    const value = k * fine;
    out.push([(value * size - low) / (high - low), !k ? "0" : short ? `${+(value / 10 ** power).toFixed(2)}` : grouped(value.toFixed(digits))]);
  }
  return { marks: out.map(([x, text]) => [x, minus(text)]), unit: short ? `10${raised(power)} ${name}`.trim() : name };
}

function legendOf(number) {
  const { marks, unit } = ticks(number, document.getElementById("ramp").clientWidth > 200 ? 3.5 : 2);
  document.getElementById("what").textContent = number.title + (unit ? ` (${unit})` : "");
  document.getElementById("ticks").innerHTML = marks.map(([x, text]) => `<span style="left:${100 * x}%">${text}</span>`).join("");
  document.getElementById("beyond").textContent = number.beyond;
  const stops = data.ramp.map(colour => `rgb(${colour})`);
  document.getElementById("ramp").style.background = `linear-gradient(90deg,${stops})`;
}
