//go:build tools

// Package h2spec names the program that `build` compiles, so that go.mod can pin its version.
package h2spec

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
)
