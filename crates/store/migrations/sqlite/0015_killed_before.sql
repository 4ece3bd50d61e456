-- Up to which epoch a worker was killed, which stays when a process registers under its name. Servers that know only the
-- tables before leave it as it is: what one of them did not come to take from a worker that it killed counts as lost there.

alter table worker add column killed_before integer;
