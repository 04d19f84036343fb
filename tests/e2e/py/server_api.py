"""Calls the verbs of the room service on a room with one participant, and checks each answer."""

import asyncio
import sys

from livekit import api


async def main(room: str, identity: str, track: str) -> None:
    async with api.LiveKitAPI() as lk:
        made = await lk.room.create_room(api.CreateRoomRequest(name=room, metadata="from python"))
        assert made.sid.startswith("RM_")
        listed = await lk.room.list_rooms(api.ListRoomsRequest(names=[room]))
        assert [r.sid for r in listed.rooms] == [made.sid]
        changed = await lk.room.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="changed"))
        assert changed.metadata == "changed"

        people = await lk.room.list_participants(api.ListParticipantsRequest(room=room))
        assert [p.identity for p in people.participants] == [identity]
        who = api.RoomParticipantIdentity(room=room, identity=identity)
        person = await lk.room.get_participant(who)
        assert [t.sid for t in person.tracks] == [track]
        updated = await lk.room.update_participant(
            api.UpdateParticipantRequest(room=room, identity=identity, metadata="md", attributes={"a": "1"})
        )
        assert updated.metadata == "md" and dict(updated.attributes) == {"a": "1"}
        muted = await lk.room.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity=identity, track_sid=track, muted=True)
        )
        assert muted.track.muted and muted.track.sid == track
        await lk.room.update_subscriptions(
            api.UpdateSubscriptionsRequest(room=room, identity=identity, track_sids=[track], subscribe=False)
        )
        await lk.room.send_data(api.SendDataRequest(room=room, data=b"hello", topic="t"))

        try:
            await lk.room.get_participant(api.RoomParticipantIdentity(room=room, identity="nobody"))
            raise AssertionError("nobody was found")
        except api.TwirpError as error:
            assert error.code == api.TwirpErrorCode.NOT_FOUND and error.status == 404, error

        await lk.room.remove_participant(who)
        await lk.room.delete_room(api.DeleteRoomRequest(room=room))
    print("all verbs answered")


asyncio.run(main(*sys.argv[1:4]))
