"""What the doors have to bear: idle and hostile callers, replicas that die or hang, new certificates, what documents tell."""
