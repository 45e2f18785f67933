// Package coap is the CoAP face of the Group Manager and the Authorization
// Server: it reads requests, calls the domain, and writes answers. It decides
// nothing that the domain decides.
//
//	POST        /token                       AS: access tokens (OSCORE from the enrolment)
//	POST        /introspect                  AS: what is known of a token, for resource servers
//	GET         /revoke/trl                  AS: tokens that were revoked; can be observed
//	POST        /authz-info                  GM: token to association (plain), update of rights (OSCORE)
//	FETCH       /ace-group                   which groups have these Gids
//	POST GET    /ace-group/G                 join; keying material
//	GET FETCH   /ace-group/G/creds           credentials of members
//	GET FETCH   /ace-group/G/kdc-cred        credential of the Group Manager
//	GET         /ace-group/G/policies, num, active, verif-data
//	FETCH       /ace-group/G/stale-sids      Sender IDs given up since a version
//	GET POST DELETE /ace-group/G/nodes/N     own node: material, new Sender ID, leaving
//	POST        /ace-group/G/nodes/N/cred    new credential
//
// # Use
//
// The domain needs the sessions for delivery, the server needs the domain, the
// endpoint needs the server, and the sessions need the endpoint:
//
//	sessions := coap.NewSessions(coap.SessionsConfig{…})
//	svc, _ := manager.New(store, manager.Options{Delivery: sessions, Sessions: sessions, …})
//	srv, _ := coap.New(coap.Config{Manager: svc, Sessions: sessions, …})
//	ep, _ := endpoint.New(endpoint.Config{Handler: srv.Handler(), Openers: srv.Openers(), …})
//	sessions.Attach(ep)
//	err := svc.Start(ctx)            // rekeys
//	err = sessions.Load(ctx, svc)    // only with kept associations
//
// Every resource but authz-info and /.well-known/core wants OSCORE. Errors of the domain become
// responses in one place, answer.go.
package coap
