-- $1 id
select j.id from "graphile_worker"._private_jobs j where j.id = $1::BIGINT for update
