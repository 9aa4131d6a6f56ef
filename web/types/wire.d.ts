// Types of the wire contract, version 1.
// Fields are optional where the contract says so, or where older servers lack them.

export type Role = 'OWNER' | 'ADMIN' | 'MEMBER';
export type Status = 'ONLINE' | 'AWAY' | 'OFFLINE';

export interface Marks { read?: number; delivered?: number }
export interface ReactionSummary { emoji: string; count: number; userIds?: string[] }

/** A log entry, as a live frame, a replayed one or an event of a history page. */
export interface EventFrame {
  type: string;
  roomId: string;
  seq: number;
  prev?: number;
  ts: string;
  messageId?: string;
  senderId?: string;
  userId?: string;
  content?: string;
  clientMsgId?: string;
  replyTo?: string;
  attachments?: string[];
  mentions?: string[];
  emoji?: string;
  removed?: boolean;
  role?: Role;
  name?: string;
  topic?: string;
  visibility?: 'PUBLIC' | 'PRIVATE';
  memberCount?: number;
  deleted?: boolean;
  editedAt?: string;
  reactions?: ReactionSummary[];
}

export interface HistoryPage {
  events: EventFrame[];
  head: number;
  hasMoreBefore: boolean;
  hasMoreAfter: boolean;
}

export interface Ack {
  type: 'ACK';
  ref?: string;
  roomId: string;
  messageId: string;
  clientMsgId?: string;
  seq: number;
  ts: string;
  duplicate?: boolean;
}

/** Any frame from the server; the fields depend on the type. */
export interface Frame {
  type: string;
  ref?: string;
  roomId?: string;
  [field: string]: any;
}

export interface RoomInfo {
  roomId: string;
  kind: 'DIRECT' | 'GROUP';
  visibility?: 'PUBLIC' | 'PRIVATE';
  name?: string;
  topic?: string;
  peerId?: string;
  createdAt: string;
  head: number;
  memberCount: number;
  role?: Role;
  unread?: number;
  lastMessage?: EventFrame;
  marks?: Marks;
}

export interface Member { userId: string; role: Role; marks?: Marks }
/** Users of a host product may have no name here: their id is shown. */
export interface User { userId: string; name?: string; displayName?: string }
export interface TokenPair { accessToken: string; expiresIn: number; refreshToken: string }

/** A source of access tokens; `stale` is one that was rejected or is about to expire. */
export interface TokenSource { get(stale?: string): Promise<string> }
