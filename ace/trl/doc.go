// Package trl holds the messages and the rules of the Token Revocation List (RFC 9770): how an Authorization Server tells Clients
// and Resource Servers which access tokens were revoked before their time.
//
// An Authorization Server keeps, for each requester, a [Collection] of the latest updates, and answers queries by [Answer]. A
// requester follows the list with a [Follower], which says what to ask next and what the answers mean. Neither has sockets or
// storage.
//
// Tokens are named by their hashes, see [ace.TokenHash].
package trl
