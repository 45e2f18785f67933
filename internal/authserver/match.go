package authserver

import "unicode/utf8"

// match says whether name is of the form that pattern gives: "*" stands for any characters, "?" for one character, every other
// character for itself. It takes time proportional to the product of the lengths at most.
func match(pattern, name string) bool {
	star, retry := -1, 0 // place of the last "*", and where in name it is tried next
	p, n := 0, 0
	for n < len(name) {
		_, size := utf8.DecodeRuneInString(name[n:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			n += size
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			_, size := utf8.DecodeRuneInString(name[retry:])
			retry += size
			p, n = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
