// Package relay stands between devices and a server and hands every datagram to
// a recorder, so that a test can look at all that ever went over the network,
// whichever process made it and however that ended.
//
//	r, err := relay.New(relay.Config{Front: addr, Server: server, Record: rec.Add})
//	defer r.Close()
//
// Devices know Front only. For each device the relay keeps a socket of its own
// towards the server, as a NAT does: the server sees one address per device, and
// what it sends there, answers and requests of its own, reaches the device from
// Front. Datagrams may be dropped and doubled on the way.
package relay
