import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayNameProblem, frameProblem, limitsOf, passwordProblem, roomNameProblem, topicProblem, wellFormed } from '../page/js/bounds.js';

const frame = (content, more = {}) => ({ type: 'SEND_MESSAGE', roomId: 'R1', clientMsgId: 'c1', content, ...more });
const code = (...of) => frameProblem(...of)?.code;

test('content_limit_counts_utf8_bytes', () => {
  assert.equal(code(frame('x'.repeat(16_384))), undefined);
  assert.equal(code(frame('x'.repeat(16_385))), 'CONTENT_TOO_LARGE');
  assert.equal(code(frame('漢'.repeat(5_461))), undefined);
  assert.equal(code(frame('漢'.repeat(5_462))), 'CONTENT_TOO_LARGE');
  assert.equal(code(frame('👍'.repeat(4_097))), 'CONTENT_TOO_LARGE');
});

test('content_is_rejected_when_its_json_escapes_exceed_the_frame_limit', () => {
  assert.equal(code(frame('\u0001'.repeat(10_000))), undefined);
  assert.equal(code(frame('\u0001'.repeat(16_000))), 'CONTENT_TOO_LARGE');
});

test('mentions_attachments_and_emoji_have_limits', () => {
  const many = (count) => Array.from({ length: count }, (_, index) => `u${index}`);
  assert.equal(code(frame('x', { mentions: many(50) })), undefined);
  assert.equal(code(frame('x', { mentions: many(51) })), 'BAD_FRAME');
  assert.equal(code(frame('x', { attachments: many(11) })), 'BAD_FRAME');
  assert.equal(code({ type: 'REACT', emoji: 'x'.repeat(65) }), 'BAD_FRAME');
});

test('welcome_limits_are_capped_at_the_contract', () => {
  assert.deepEqual(limitsOf({ contentBytesMax: 10, frameBytesMax: 1_000_000 }), { contentBytesMax: 10, frameBytesMax: 65_536 });
  assert.deepEqual(limitsOf(undefined), { contentBytesMax: 16_384, frameBytesMax: 65_536 });
});

test('names_topics_and_passwords_are_measured_like_on_the_server', () => {
  assert.equal(roomNameProblem('x'.repeat(128)), '');
  assert.match(roomNameProblem('漢'.repeat(43)), /129 bytes/);
  assert.notEqual(roomNameProblem('   '), '');
  assert.equal(topicProblem('x'.repeat(1_024)), '');
  assert.match(topicProblem('x'.repeat(1_025)), /1,025 bytes/);
  assert.equal(displayNameProblem('👍'.repeat(64)), '');
  assert.equal(displayNameProblem('e\u0301'.repeat(64)), '');
  assert.match(displayNameProblem('x'.repeat(65)), /65 characters/);
  assert.equal(passwordProblem('漢'.repeat(256)), '');
  assert.match(passwordProblem('x'.repeat(257)), /257 characters/);
  assert.match(passwordProblem('short'), /at least 8/);
});

test('lone_surrogates_are_replaced_and_pairs_stay', () => {
  assert.equal(wellFormed('a\ud83d b\udc4d 👍'), 'a\ufffd b\ufffd 👍');
});
