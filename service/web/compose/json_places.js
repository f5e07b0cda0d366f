// JSON with places: the value of a text, and where in it every JSON pointer (RFC 6901) leads.

/** What is wrong with a text, and where: characters `start` to `end`. */
export class JsonMistake extends Error {
  constructor(message, start, end = start + 1) {
    super(message);
    this.start = start;
    this.end = end;
  }
}

const LITERALS = { true: true, false: false, null: null };
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;

/** {value, places}: places maps a pointer to [start, end]. Throws JsonMistake. */
export function readJson(text) {
  const places = new Map();
  let at = 0;

  function skip() {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  }

  function take(pattern) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match?.[0];
  }

  function fail(expected) {
    const found = at < text.length ? `found ${JSON.stringify(text[at])}` : "the text ends";
    throw new JsonMistake(`expected ${expected}; ${found}`, Math.min(at, text.length));
  }

  function string() {
    const found = take(STRING);
    if (found === undefined) fail("text in double quotes");
    return JSON.parse(found);
  }

  function list(pointer) {
    const values = [];
    at += 1;
    for (skip(); text[at] !== "]"; skip()) {
      if (values.length) comma("]");
      values.push(value(`${pointer}/${values.length}`));
    }
    at += 1;
    return values;
  }

  function object(pointer) {
    const members = {};
    at += 1;
    for (skip(); text[at] !== "}"; skip()) {
      if (Object.keys(members).length) comma("}");
      const start = at;
      const name = string();
      if (Object.hasOwn(members, name)) {
        throw new JsonMistake(`the name ${JSON.stringify(name)} occurs twice`, start, at);
      }
      skip();
      if (text[at] !== ":") fail('":" after the name');
      at += 1;
      const inner = `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      Object.defineProperty(members, name, {
        value: value(inner), enumerable: true, configurable: true, writable: true,
      });
    }
    at += 1;
    return members;
  }

  function comma(end) {
    if (text[at] !== ",") fail(`"," or "${end}"`);
    at += 1;
    skip();
    if (text[at] === end) fail("another entry after the comma");
  }

  function value(pointer) {
    skip();
    const start = at;
    let found;
    if (text[at] === "{") found = object(pointer);
    else if (text[at] === "[") found = list(pointer);
    else if (text[at] === '"') found = string();
    else {
      const word = take(/[a-z]+/y);
      const number = word === undefined ? take(NUMBER) : undefined;
      if (number !== undefined) found = Number(number);
      else if (word !== undefined && Object.hasOwn(LITERALS, word)) found = LITERALS[word];
      else {
        at = start;
        fail("a value");
      }
    }
    places.set(pointer, [start, at]);
    return found;
  }

  const whole = value("");
  skip();
  if (at < text.length) fail("nothing more");
  return { value: whole, places };
}

/** Where a pointer leads, or the nearest thing above it that is there. */
export function placeOf(places, pointer) {
  for (let here = pointer; ; here = here.slice(0, here.lastIndexOf("/"))) {
    const place = places.get(here);
    if (place || here === "") return place ?? [0, 0];
  }
}

/** The line, from 1, of a character. */
export function lineOf(text, offset) {
  return text.slice(0, offset).split("\n").length;
}
