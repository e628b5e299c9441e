package state

// names are what a partition's journals and values are called in NATS. A store in the process has one partition, without
// a name; of the nodes that share a NATS cluster each has its own, and may hold those of nodes that are gone.
type names struct {
	journals string // stream
	group    string // subject of its messages
	journal  string // subject, before the call's id, of messages of an earlier version, and before "_" of the others
	records  string // stream of the bucket (NATS KV) in which a call's value is under its id
	record   string // subject, before the call's id
}

func namesOf(partition string) names {
	bucket, subject := "callengine_calls", "callengine.journal."
	stream := "callengine_journal"
	if partition != "" {
		bucket += "_" + partition
		stream += "_" + partition
		subject += partition + "."
	}
	return names{journals: stream, group: subject + "_", journal: subject, records: "KV_" + bucket, record: "$KV." + bucket + "."}
}
