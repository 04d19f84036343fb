DROP TABLE room_participants;
DROP TABLE rooms;
