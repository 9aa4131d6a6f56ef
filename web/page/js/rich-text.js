/**
 * Message text as nodes: links and mentions are marked up, everything else stays text.
 */
import { h } from './dom.js';

const PIECES = /https?:\/\/[^\s<>"']+|(?<![A-Za-z0-9_])@[A-Za-z0-9_\-.:]{1,64}/g;

/**
 * @param {string} content
 * @param {(name: string) => 'me' | 'other' | undefined} mentioned whether `@name` is a mention
 * @returns {(Node | string)[]}
 */
export function richText(content, mentioned) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let done = 0;
  for (const match of content.matchAll(PIECES)) {
    const node = match[0].startsWith('@') ? mention(match[0], mentioned) : link(match[0]);
    if (!node) continue;
    nodes.push(content.slice(done, match.index), node.element);
    done = match.index + node.length;
  }
  nodes.push(content.slice(done));
  return nodes.filter((node) => node !== '');
}

/** @param {string} text */
function link(text) {
  const href = text.replace(/[.,;:!?)\]]+$/, '');
  if (!URL.canParse(href)) return undefined;
  return { element: h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, href), length: href.length };
}

/** A full stop can end both a name and a sentence. @param {string} text @param {(name: string) => 'me' | 'other' | undefined} mentioned */
function mention(text, mentioned) {
  for (let name = text; name.length > 1; name = name.slice(0, -1)) {
    const who = mentioned(name.slice(1));
    if (who) return { element: h('span', { class: `mention ${who}`, 'data-testid': 'mention' }, name), length: name.length };
    if (!/[.:\-_]$/.test(name)) return undefined;
  }
  return undefined;
}

/**
 * The ids of the members mentioned in a text.
 * @param {string} content
 * @param {Map<string, string>} userIdsByName names in lower case
 */
export function mentionsIn(content, userIdsByName) {
  /** @type {Set<string>} */
  const found = new Set();
  richText(content, (name) => {
    const userId = userIdsByName.get(name.toLowerCase());
    if (userId === undefined) return undefined;
    found.add(userId);
    return 'other';
  });
  return [...found];
}
