// Package aif reads, writes and applies the Authorization Information Format (RFC 9237): an allow-list of pairs of an object and
// what may be done with it.
//
// [Parse] reads the generic form, whatever objects and permissions are. [ParseREST] reads the default one, in which an object is
// the local part of a URI and a permission is a set of methods: [Scope.Judge] says whether a request is covered, and [Created] keeps
// what a subject may do with resources that it has made.
//
// The scopes of OSCORE groups, in which objects are groups and permissions are roles, are [ace.Scope].
package aif
