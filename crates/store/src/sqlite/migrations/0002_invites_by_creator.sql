-- What someone has open is counted whenever they make another.
CREATE INDEX invites_by_creator ON invites (creator_id);
