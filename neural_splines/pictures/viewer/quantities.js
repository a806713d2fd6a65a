// Numbers as a person writes them, as quantities.py does: 12,345; 0.0032; 5.7 × 10⁻⁵; with a unit: 3.2 mm.
const grouped = text => text.replace(/^(-?\d+)/, whole => whole.replace(/\B(?=(\d{3})+$)/g, ","));
const raised = power => String(power).replace("-", "⁻").replace(/\d/g, d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
const minus = text => text.replace(/^-/, "−");

function number(value, digits = 3) {
  if (!value) return "0";
  let power = Math.floor(Math.log10(Math.abs(+value.toPrecision(digits))));
  if (power < -4 || power > 6) return minus(`${+(value / 10 ** power).toPrecision(digits)} × 10${raised(power)}`);
  return minus(grouped((+value.toPrecision(digits)).toFixed(Math.min(Math.max(digits - 1 - power, 0), 20)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "")));
}

const metres = [["km", 1e3], ["m", 1], ["mm", 1e-3], ["µm", 1e-6]];
function quantity(value, digits = 3) {
  if (data.unit !== "m" || !value) return `${number(value, digits)} ${data.unit || (Math.abs(value) === 1 ? "unit" : "units")}`;
  const [name, size] = metres.find(([, size]) => Math.abs(value) >= 0.9995 * size) || metres[3];
  return `${number(value / size, digits)} ${name}`;
}

// The largest of 1, 2, 5 times a power of ten that is not above a length.
function round(length) {
  const power = 10 ** Math.floor(Math.log10(length)), share = length / power;
  return power * (share >= 5 ? 5 : share >= 2 ? 2 : 1);
}
