import type { JoinProblem } from '../api/errors';
import type { ArchivedOwned, JoinResponse } from '../api/types';

export type EndReason =
	| 'left'
	| 'kicked'
	| 'banned'
	| 'room-ended'
	| 'duplicate'
	| 'account-deleted'
	| 'denied'
	| 'room-gone';

/** What the page of a meeting shows. */
export type MeetState =
	| { at: 'boot' }
	| { at: 'guest-name' }
	| { at: 'joining' }
	| { at: 'archived'; archived: ArchivedOwned }
	| { at: 'refused'; problem: JoinProblem }
	| { at: 'prejoin'; room: JoinResponse }
	| { at: 'connecting'; room: JoinResponse }
	| { at: 'in-call'; room: JoinResponse }
	| { at: 'ended'; reason: EndReason };

export type MeetEvent =
	| { type: 'session'; signedIn: boolean }
	| { type: 'submit' }
	| { type: 'joined'; room: JoinResponse }
	| { type: 'archived'; archived: ArchivedOwned }
	| { type: 'refused'; problem: JoinProblem; guest: boolean }
	| { type: 'enter' }
	| { type: 'connected' }
	| { type: 'connect-failed' }
	| { type: 'ended'; reason: EndReason }
	| { type: 'again' };

export const start: MeetState = { at: 'boot' };

/** The next state; an event that does not belong to the present state changes nothing. */
export function transition(state: MeetState, event: MeetEvent): MeetState {
	switch (event.type) {
		case 'session':
			if (state.at !== 'boot') return state;
			return event.signedIn ? { at: 'joining' } : { at: 'guest-name' };
		case 'submit':
			return state.at === 'guest-name' || state.at === 'archived' || state.at === 'refused' ? { at: 'joining' } : state;
		case 'joined':
			return state.at === 'joining' ? { at: 'prejoin', room: event.room } : state;
		case 'archived':
			return state.at === 'joining' ? { at: 'archived', archived: event.archived } : state;
		case 'refused':
			return state.at === 'joining' ? refused(event) : state;
		case 'enter':
			return state.at === 'prejoin' ? { at: 'connecting', room: state.room } : state;
		case 'connected':
			return state.at === 'connecting' ? { at: 'in-call', room: state.room } : state;
		case 'connect-failed':
			return state.at === 'connecting' ? { at: 'prejoin', room: state.room } : state;
		case 'ended':
			return state.at === 'in-call' || state.at === 'connecting' ? { at: 'ended', reason: event.reason } : state;
		case 'again':
			return state.at === 'ended' || state.at === 'refused' ? { at: 'boot' } : state;
	}
}

/** A guest who typed a bad name, or a session that ended, goes back to the name; anything else is final. */
function refused(event: { problem: JoinProblem; guest: boolean }): MeetState {
	const retype =
		event.problem === 'signed-out' || (event.guest && (event.problem === 'bad-name' || event.problem === 'busy'));
	return retype ? { at: 'guest-name' } : { at: 'refused', problem: event.problem };
}
