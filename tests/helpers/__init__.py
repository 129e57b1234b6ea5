"""What several test files share: networks, images, small searches, programs, servers. Fixtures are in conftest.py."""
