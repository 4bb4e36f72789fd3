// Just enough JSON to take a small object apart and to write one.  The host sends valid JSON; on anything else these
// find nothing.

function space(json: string, at: i32): i32 {
  while (at < json.length && json.charCodeAt(at) <= 32) at++;
  return at;
}

/** The end of the string that begins at `at`, behind its closing quote. */
function stringEnd(json: string, at: i32): i32 {
  for (at++; at < json.length; at++) {
    const c = json.charCodeAt(at);
    if (c == 34) return at + 1;
    if (c == 92) at++;
  }
  return json.length;
}

/** The end of the value that begins at `at`. */
function valueEnd(json: string, at: i32): i32 {
  let depth = 0;
  while (at < json.length) {
    const c = json.charCodeAt(at);
    if (c == 34) {
      at = stringEnd(json, at);
      if (depth == 0) return at;
      continue;
    }
    if (c == 123 || c == 91) depth++;
    else if (c == 125 || c == 93) {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == 44 || c <= 32)) return at;
    at++;
  }
  return at;
}

/** The value of a key of the outermost object, as it stands; "": no such key.  Keys with escapes are not found. */
export function get(json: string, key: string): string {
  let at = space(json, 0);
  if (at >= json.length || json.charCodeAt(at) != 123) return "";
  for (at = space(json, at + 1); at < json.length && json.charCodeAt(at) == 34; at = space(json, at + 1)) {
    const end = stringEnd(json, at);
    let from = space(json, end);
    if (from >= json.length || json.charCodeAt(from) != 58) return "";
    from = space(json, from + 1);
    const to = valueEnd(json, from);
    if (json.substring(at + 1, end - 1) == key) return json.substring(from, to);
    at = space(json, to);
    if (at >= json.length || json.charCodeAt(at) != 44) return "";
  }
  return "";
}

/** A JSON string decoded; "" where it is none. */
export function text(json: string): string {
  if (json.length < 2 || json.charCodeAt(0) != 34) return "";
  let done = "";
  let from = 1;
  for (let at = 1; at < json.length - 1; at++) {
    if (json.charCodeAt(at) != 92) continue;
    done += json.substring(from, at);
    const c = json.charAt(++at);
    if (c == "u") {
      done += String.fromCharCode(<i32>parseInt(json.substring(at + 1, at + 5), 16));
      at += 4;
    } else if (c == "b") done += "\b";
    else if (c == "f") done += "\f";
    else if (c == "n") done += "\n";
    else if (c == "r") done += "\r";
    else if (c == "t") done += "\t";
    else done += c;
    from = at + 1;
  }
  return from == 1 ? json.substring(1, json.length - 1) : done + json.substring(from, json.length - 1);
}

/** A whole number, or `otherwise` where it is none. */
export function number(json: string, otherwise: i64 = 0): i64 {
  const value = json.length ? parseFloat(json) : NaN;
  return isNaN(value) ? otherwise : <i64>value;
}

/** A text as a JSON string, with its quotes. */
export function quote(text: string): string {
  let done = '"';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c >= 32 && c != 34 && c != 92) continue;
    done += text.substring(from, at);
    if (c < 32) done += "\\u00" + (c >> 4).toString() + "0123456789abcdef".charAt(c & 15);
    else done += "\\" + text.charAt(at);
    from = at + 1;
  }
  return done + text.substring(from) + '"';
}
