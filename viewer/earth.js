// The ellipsoid of WGS 84, in metres, as files/earth.py has it.
const RADIUS = 6378137, FLATTENING = 1 / 298.257223563, SQUARE = FLATTENING * (2 - FLATTENING);

// Latitude and longitude in degrees and the height above the ellipsoid of a place about the earth's centre. Fixed-point
// iteration of tan b = (z + e^2 N sin b) / p: each step divides the error by about 150.
export function geographic(x, y, z) {
  const p = Math.hypot(x, y);
  let latitude = Math.atan2(z, p * (1 - SQUARE)), across = RADIUS;
  for (let k = 0; k < 8; k++) {
    across = RADIUS / Math.sqrt(1 - SQUARE * Math.sin(latitude) ** 2);
    latitude = Math.atan2(z + SQUARE * across * Math.sin(latitude), p);
  }
  const sine = Math.sin(latitude), cosine = Math.cos(latitude);
  const height = p * cosine + z * sine - RADIUS * Math.sqrt(1 - SQUARE * sine * sine);
  return { latitude: latitude * 180 / Math.PI, longitude: Math.atan2(y, x) * 180 / Math.PI, height };
}
