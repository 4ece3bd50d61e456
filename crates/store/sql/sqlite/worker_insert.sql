insert into worker (name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task,
  kept_slot, forgotten, draining, killed, completed, failed, killed_before)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
