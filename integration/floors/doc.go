// Package floors has no code: its tests assert which package may import which.
//
// Every package of the module stands on one floor and imports only from floors
// below its own, or from packages of its own unit (ace/groupcomm may import
// ace). A package that is on no floor fails the test: say where it stands in
// floors_test.go before you add it. What a floor may not pull in at all, even
// through others, is listed in rules_test.go.
package floors
