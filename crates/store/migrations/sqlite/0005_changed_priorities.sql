-- A task's priority can be changed while it waits; what it is now stands with the rest that a slot carries along. Servers
-- that know only the tables before would put tasks that return where their first priority had them, and refuse to start.

alter table carry add column priority integer not null default 0;

update carry set priority = (select task.priority from task where task.id = carry.task);
