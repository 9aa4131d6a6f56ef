import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isolate } from '../page/js/bidi.js';
import { isComposing } from '../page/js/dom.js';
import { Emitter } from '../page/js/emitter.js';
import { displayNameOf } from '../page/js/people.js';
import { roomIdIn } from '../page/js/workspace.js';

test('emitter_calls_every_listener_when_one_throws', (t) => {
  const reported = t.mock.method(console, 'error', () => {});
  const emitter = new Emitter();
  const called = [];
  emitter.on('x', () => called.push('first'));
  emitter.on('x', () => { throw new Error('broken view'); });
  emitter.on('x', () => called.push('last'));
  emitter.emit('x');
  assert.deepEqual(called, ['first', 'last']);
  assert.equal(reported.mock.callCount(), 1);
});

test('address_with_malformed_encoding_yields_an_unknown_room_id', () => {
  assert.equal(roomIdIn('#/rooms/a%3Ab'), 'a:b');
  for (const hash of ['#/rooms/%', '#/rooms/ok%zz', '#/rooms/%E0%A4%A']) assert.equal(roomIdIn(hash), hash.slice('#/rooms/'.length));
  for (const hash of ['', '#', '#/', '#%', '#/rooms/']) assert.equal(roomIdIn(hash), undefined);
});

test('input_method_keys_are_detected', () => {
  assert.equal(isComposing({ isComposing: false, keyCode: 229 }), true);
  assert.equal(isComposing({ isComposing: true, keyCode: 13 }), true);
  assert.equal(isComposing({ isComposing: false, keyCode: 13 }), false);
});

test('direction_controls_are_removed_from_names', () => {
  assert.equal(displayNameOf({ userId: 'u', name: 'bo', displayName: '\u202Eevil\u2069' }), 'evil');
  assert.equal(displayNameOf({ userId: 'u', name: 'bo', displayName: '\u202E\u200F' }), 'bo');
  assert.equal(isolate('a\u2069b'), '\u2068ab\u2069');
});
