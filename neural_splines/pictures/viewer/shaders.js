const vertexShader = `#version 300 es
layout(location = 0) in vec3 position; layout(location = 1) in vec3 normal; layout(location = 2) in vec3 colour;
layout(location = 3) in float distance; layout(location = 4) in vec2 place;
uniform mat3 axes; uniform vec3 target; uniform vec2 aspect, depth; uniform float zoom, bend, size, nearer; uniform int mode;
uniform sampler2D ramp; out vec3 seen, tint, at; out vec2 texel; out float share;
void main() {
  vec3 p = axes * (position - target);
  float w = 1.0 - bend * p.z;  // 1 everywhere without perspective
  gl_Position = vec4(p.xy * zoom * aspect, depth.x + depth.y * p.z - nearer * w, w);
  gl_PointSize = size;
  seen = axes * normal; texel = place; at = position; share = distance;
  tint = mode == 2 ? texture(ramp, vec2((distance * 255.0 + 0.5) / 256.0, 0.5)).rgb : mode == 1 ? colour : vec3(0.70, 0.74, 0.80);
}`;
const fragmentShader = `#version 300 es
precision mediump float; in vec3 seen, tint; in highp vec2 texel; uniform int lit, drawn, backs; uniform vec4 own; uniform sampler2D picture;
out vec4 result;
void main() {
  vec3 mine = drawn == 1 ? texture(picture, texel).rgb : tint;
  if (lit == 0) { result = own.a > 0.0 ? vec4(own.rgb * own.a, own.a) : vec4(tint, 1.0); return; }
  vec3 n = normalize(seen) * (gl_FrontFacing ? 1.0 : -1.0);
  float light = 0.3 + 0.35 * abs(n.z) + 0.42 * max(dot(n, normalize(vec3(-0.4, 0.6, 1.0))), 0.0);
  result = vec4(light * (gl_FrontFacing || backs == 0 ? mine : vec3(0.90, 0.52, 0.20)), 1.0);
}`;
// Which place of the box is seen at a pixel, in 32 bits a coordinate, and the number there.
const WHOLE = 4294967040;
const pickShader = `#version 300 es
precision highp float; precision highp int; in vec3 at; in float share; uniform int numbered; out uvec4 result;
void main() {
  result = uvec4(uvec3(clamp(at, 0.0, 1.0) * ${WHOLE}.0), numbered == 1 ? 2u + uint(share * 255.0 + 0.5) : 1u);
}`;

function built(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, text); gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return { program, at: name => gl.getUniformLocation(program, name) };
}
