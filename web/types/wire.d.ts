// What the page and the fleet say to each other (the wire contract, version 1), as types.
// Optional fields are optional because the contract says so, or because an older fleet may lack them.

export type Role = 'OWNER' | 'ADMIN' | 'MEMBER';
export type Status = 'ONLINE' | 'AWAY' | 'OFFLINE';

export interface Marks { read?: number; delivered?: number }
export interface ReactionSummary { emoji: string; count: number; userIds?: string[] }

/** An entry of a room's log, as a live frame, a replay or a line of history. */
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

/** Any frame from the fleet: the type decides which fields are there. */
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
/** A host product's own users may have no name here: their id stands for them. */
export interface User { userId: string; name?: string; displayName?: string }
export interface TokenPair { accessToken: string; expiresIn: number; refreshToken: string }

/** Where access tokens come from; `stale` names one that was refused or is about to end. */
export interface TokenSource { get(stale?: string): Promise<string> }
