// Package secrettest is for tests that key material is not printed: neither by accident nor through a careless holder.
package secrettest
