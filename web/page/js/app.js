/** The page's entry point: shows the workspace or the sign-in form. */
import { Api } from './api.js';
import { authView } from './auth-view.js';
import { fill, h } from './dom.js';
import { Outbox } from './outbox.js';
import { Session } from './session.js';
import { Workspace } from './workspace.js';

const RETRY_MS = 2_000;
const root = /** @type {HTMLElement} */ (document.getElementById('app'));
const session = new Session();
/** @type {Workspace | undefined} */
let workspace;

/** @param {string} [notice] */
function showAuth(notice) {
  workspace?.dispose();
  workspace = undefined;
  document.title = 'Roomcast';
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  fill(root, authView({ session, notice, onSignedIn: () => void showWorkspace() }));
}

async function showWorkspace() {
  /** @type {Outbox | undefined} */
  let outbox;
  try {
    const me = await new Api(session).me();
    outbox = await Outbox.open(me.userId);
    workspace?.dispose();
    workspace = new Workspace({ session, me, outbox });
    workspace.start(root);
  } catch (error) {
    const { status = 0, message } = /** @type {any} */ (error);
    outbox?.close();
    if (status === 401) return;
    fill(root, h('p', { class: 'boot', role: 'status' }, `${message} Trying again…`));
    setTimeout(() => void showWorkspace(), RETRY_MS);
  }
}

session.on('ended', () => showAuth());
session.on('replaced', () => location.reload());
addEventListener('storage', (event) => session.storageChanged(event));
if (session.signedIn) void showWorkspace();
else showAuth();
